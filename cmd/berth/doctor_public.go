package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"berth/registry"
	"berth/storage/checkup"
)

// probeRepository is where the doctor pushes to.
const probeRepository = "berth-doctor"

// visitor comes to the registry as clients do, through what is in front of it.
type visitor struct {
	doctorCommand
	base   *url.URL
	client *http.Client

	state *tls.ConnectionState // nil without TLS
	realm *url.URL
	token string
}

// answer is what came back, with the little of a body that is worth reading.
type answer struct {
	*http.Response
	body string
}

// berths reports whether the registry answered, and not what is in front of it.
func (a answer) berths() bool {
	return a.Header.Get("Docker-Distribution-Api-Version") == "registry/2.0"
}

func (a answer) has(code registry.Code) bool { return strings.Contains(a.body, `"`+string(code)+`"`) }

func (a answer) told() string {
	return fmt.Sprintf("%s %s is answered %s %s", a.Request.Method, a.Request.URL.Path, a.Status, clip(a.body, 200))
}

func clip(s string, n int) string {
	if s = strings.Join(strings.Fields(s), " "); len(s) > n {
		return s[:n] + "…"
	}
	return s
}

func (cmd doctorCommand) checkPublic(ctx context.Context, checks *checkup.Checks) {
	const reach, challenge, token, start = "public url", "public challenge", "public token", "public upload"
	base, err := url.Parse(strings.TrimSuffix(cmd.PublicURL, "/"))
	if cmd.PublicURL == "" || err != nil || base.Host == "" {
		checks.Skip(reach, "there is no --public-url, through which logins and pushes are tried")
		return
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	defer transport.CloseIdleConnections()
	v := &visitor{doctorCommand: cmd, base: base, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	checks.Do(ctx, reach, v.reach)
	if base.Scheme == "https" {
		checks.Do(ctx, "public certificate", v.certificate, reach)
	}
	checks.Do(ctx, challenge, v.challenge, reach)
	checks.Do(ctx, token, v.login, challenge)
	checks.Do(ctx, "public paths", v.paths, challenge)
	if cmd.User == "" || cmd.Password == "" {
		checks.Skip(start, "pushes are tried with --user and --password (BERTH_PASSWORD) of an account that may push")
		return
	}
	if !cmd.CreateOnPush {
		checks.Skip(start, "pushes would need a repository of their own, and --no-create-on-push is set")
		return
	}
	checks.Do(ctx, start, v.upload, token)
	checks.Do(ctx, "public headers", v.headers, start, "public paths")
	checks.DoWithin(ctx, 10*time.Minute, "public body size", v.large, start)
}

// reach tells of the way to the registry.
func (v *visitor) reach(ctx context.Context) checkup.Finding {
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: v.base}); err == nil && proxy != nil {
		return checkup.Fine("%s is reached through the proxy %s of the environment", v.base, proxy.Redacted())
	}
	addr, state, err := checkup.Reach(ctx, v.base, nil)
	var network *net.OpError
	if errors.As(err, &network) && (errors.Is(err, syscall.ECONNREFUSED) || network.Timeout()) {
		seen, _ := checkup.Explain(v.base.Host, err, "")
		return checkup.Bad(seen, "see that the proxy runs; or clients reach it and this machine does not, as a router does not lead back to its own public address (hairpin NAT): then run the doctor elsewhere, or have the name resolve to the inner address here")
	}
	if err != nil {
		return v.failed(err)
	}
	v.state = state
	return checkup.Fine("%s (%s) is reached", v.base, addr)
}

func (v *visitor) failed(err error) checkup.Finding {
	seen, advice := checkup.Explain(v.base.Host, err, "serve the certificate with its intermediates (fullchain.pem), or have every client and this machine trust its authority")
	return checkup.Bad(seen, advice)
}

func (v *visitor) certificate(context.Context) checkup.Finding {
	if v.state == nil {
		return checkup.Fine("seen by the proxy of the environment only")
	}
	return checkup.Certificate(v.state.PeerCertificates[0], time.Now())
}

// ask makes a request, with the token if there is one.
func (v *visitor) ask(ctx context.Context, method, target string, body io.Reader, size int64, header ...string) (answer, error) {
	u, err := v.base.Parse(target)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		request.ContentLength = size
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	if v.token != "" {
		request.Header.Set("Authorization", "Bearer "+v.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return answer{response, string(b)}, err
}

// challenge looks at what tells clients where to log in.
func (v *visitor) challenge(ctx context.Context) checkup.Finding {
	a, err := v.ask(ctx, http.MethodGet, "/v2/", nil, 0)
	if err != nil {
		return v.failed(err)
	}
	header := a.Header.Get("WWW-Authenticate")
	switch scheme, rest, _ := strings.Cut(header, " "); {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		return checkup.Bad(fmt.Sprintf("/v2/ is redirected to %s", a.Header.Get("Location")), "set --public-url to where clients end up, and have the proxy pass on /v2/ there")
	case a.StatusCode == http.StatusBadGateway || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusGatewayTimeout:
		return checkup.Bad(a.told(), fmt.Sprintf("see that berth runs, and that the proxy passes requests on to --addr %s", v.Addr))
	case a.StatusCode == http.StatusUnauthorized && !a.berths() && strings.EqualFold(scheme, "Basic"):
		return checkup.Bad("the proxy asks for a password of its own", "remove that (auth_basic in nginx): berth asks itself, and a request has one Authorization header only")
	case a.StatusCode != http.StatusUnauthorized || !a.berths():
		return checkup.Bad(fmt.Sprintf("%s, which is not what berth answers", a.told()), "have the proxy pass on /v2/ and /token as they are, with all headers of the answer")
	case !strings.EqualFold(scheme, "Bearer"):
		return checkup.Bad(fmt.Sprintf("WWW-Authenticate is %q on its way through the proxy", header), "have the proxy pass on WWW-Authenticate: clients learn from it where to log in")
	default:
		return v.judgeRealm(parameter(rest, "realm"), parameter(rest, "service"))
	}
}

// parameter takes a value out of a challenge.
func parameter(challenge, name string) string {
	_, rest, _ := strings.Cut(challenge, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func (v *visitor) judgeRealm(realm, service string) checkup.Finding {
	u, err := url.Parse(realm)
	if err != nil || u.Host == "" {
		return checkup.Bad(fmt.Sprintf("the realm %q is not a URL", realm), "have the proxy pass on WWW-Authenticate as it is")
	}
	v.realm = u
	seen := fmt.Sprintf("clients are sent to %s to log in, not to %s/token", realm, v.base)
	const restart = ", or start berth with --public-url"
	switch {
	case u.Host != v.base.Host:
		return checkup.Bad(seen, "have the proxy pass on the Host header (proxy_set_header Host $host in nginx, with the port if it is not 443: $http_host)"+restart)
	case u.Scheme != v.base.Scheme:
		return checkup.Bad(seen, "have the proxy set X-Forwarded-Proto and name its address in --trusted-proxy"+restart)
	case u.Path != "/token":
		return checkup.Bad(seen, "have the proxy leave paths as they are"+restart)
	case service != v.Service:
		return checkup.Warn(fmt.Sprintf("the registry there calls itself %q, not %q", service, v.Service), "see whether --public-url leads to this registry, and restart it if --service has changed")
	}
	return checkup.Fine("clients are sent to %s to log in", realm)
}

// login asks for a token, as the user or as nobody.
func (v *visitor) login(ctx context.Context) checkup.Finding {
	u := *v.realm
	u.RawQuery = url.Values{"service": {v.Service}, "scope": {"repository:" + probeRepository + ":pull,push,delete"}}.Encode()
	var header []string
	if v.User != "" {
		request := http.Request{Header: http.Header{}}
		request.SetBasicAuth(v.User, v.Password)
		header = []string{"Authorization", request.Header.Get("Authorization")}
	}
	a, err := v.ask(ctx, http.MethodGet, u.String(), nil, 0, header...)
	if err != nil {
		return v.failed(err)
	}
	var issued struct {
		Token string `json:"token"`
	}
	decoded := json.Unmarshal([]byte(a.body), &issued) == nil
	switch {
	case a.StatusCode == http.StatusUnauthorized && v.User != "" && decoded:
		return checkup.Bad("the registry does not know the user or the password", "correct --user and --password; if they are right, see that the proxy passes on the Authorization header")
	case a.StatusCode == http.StatusTooManyRequests:
		return checkup.Bad(a.told(), "wait; if nobody has failed to log in, name the proxy in --trusted-proxy, as now all clients count as one")
	case a.StatusCode != http.StatusOK || issued.Token == "":
		return checkup.Bad(a.told(), "have the proxy pass on /token")
	}
	if v.User == "" {
		return checkup.Fine("tokens are given out")
	}
	v.token = issued.Token
	return checkup.Fine("%s gets a token", v.User)
}

// paths looks for a proxy that rewrites or refuses what it should pass on.
func (v *visitor) paths(ctx context.Context) checkup.Finding {
	long := "/v2/" + probeRepository + "/manifests/" + strings.Repeat("t", registry.MaxTagLength)
	a, err := v.ask(ctx, http.MethodHead, long, nil, 0)
	if err != nil {
		return v.failed(err)
	}
	if !a.berths() {
		return checkup.Bad(fmt.Sprintf("HEAD of a manifest with a long tag is answered %s, but not by berth", a.Status), "have the proxy pass on HEAD, and paths of 1,000 characters")
	}
	// An encoded slash is no slash to berth, which says that it is not a name.
	a, err = v.ask(ctx, http.MethodGet, "/v2/"+probeRepository+"%2Fencoded/tags/list", nil, 0)
	if err != nil {
		return v.failed(err)
	}
	if !a.berths() || !a.has(registry.ErrNameInvalid.Code) {
		return checkup.Warn("the proxy decodes or refuses a slash that is written %2F", "have it pass on paths as they were sent: proxy_pass without a path after the host in nginx, AllowEncodedSlashes NoDecode and nocanon in Apache")
	}
	return checkup.Fine("they arrive as they were sent")
}
