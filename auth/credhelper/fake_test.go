package credhelper_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/auth/credhelper"
	"berth/auth/sigv4"
)

const region = "eu-north-1"

// The access keys that the registry knows, and what it trades a token for.
var keys = map[string]sigv4.Key[string]{
	"AKIAENV":     {Secret: "secret-of-env", Owner: "env"},
	"AKIAPROFILE": {Secret: "secret-of-profile", Owner: "profile"},
	"AKIAPROCESS": {Secret: "secret-of-process", Owner: "process"},
	"ASIASESSION": {Secret: "secret-of-session", Owner: "session"},
}

const (
	sessionToken = "token-of-session"
	role         = "arn:aws:iam::111122223333:role/puller"
)

// registry is one that takes no request unless it is signed as it should be.
type registry struct {
	*httptest.Server
	asked   atomic.Int32 // times that somebody wanted a login
	life    time.Duration
	clock   func() time.Time
	session atomic.Value // the RoleSessionName that came last
}

func newRegistry(t *testing.T) *registry {
	r := &registry{life: 12 * time.Hour, clock: time.Now}
	r.Server = httptest.NewTLSServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	t.Cleanup(r.Close)
	return r
}

func (r *registry) host() string { return r.Listener.Addr().String() }

// Key is for [sigv4.Keys].
func (r *registry) Key(_ context.Context, id, token string) (sigv4.Key[string], error) {
	k, ok := keys[id]
	if !ok || (id == "ASIASESSION") != (token == sessionToken) {
		return k, sigv4.ErrKeyUnknown
	}
	return k, nil
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil || req.Method != http.MethodPost || req.URL.Path != "/" {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	w.Header().Set("Date", r.clock().UTC().Format(http.TimeFormat))
	switch req.Header.Get("X-Amz-Target") {
	case "":
		r.assumeRole(w, req, string(body))
	case "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken":
		r.authorize(w, req, body)
	default:
		fail(w, "UnknownOperationException", req.Header.Get("X-Amz-Target"))
	}
}

func fail(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazon.coral.service#" + code, "message": message})
}

func (r *registry) authorize(w http.ResponseWriter, req *http.Request, body []byte) {
	v := &sigv4.Verifier[string]{Keys: r, Services: []string{"ecr"}, Region: region, Clock: r.clock}
	signed, err := v.Verify(req, body)
	if refused, ok := errors.AsType[*sigv4.Error](err); ok {
		// A registry that repeats what it should not.
		fail(w, refused.Code.JSON, refused.Message+" "+req.Header.Get("X-Amz-Security-Token"))
		return
	}
	if string(body) != "{}" {
		fail(w, "SerializationException", string(body))
		return
	}
	login := fmt.Sprintf("AWS:login:of:%s:%d", signed.Owner, r.asked.Add(1))
	json.NewEncoder(w).Encode(map[string]any{"authorizationData": []any{map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte(login)),
		"expiresAt":          float64(r.clock().Add(r.life).UnixMilli()) / 1000,
		"proxyEndpoint":      "https://" + req.Host,
	}}})
}

func (r *registry) assumeRole(w http.ResponseWriter, req *http.Request, body string) {
	req.Body = io.NopCloser(strings.NewReader(body))
	token := req.FormValue("WebIdentityToken")
	switch {
	case req.FormValue("Action") != "AssumeRoleWithWebIdentity" || req.FormValue("Version") != "2011-06-15" || req.Header.Get("Authorization") != "":
		http.Error(w, "no such action", http.StatusBadRequest)
	case req.FormValue("RoleArn") != role || !strings.HasPrefix(token, "token of ") && !strings.HasPrefix(token, "header."):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>`+
			`<Code>AccessDenied</Code><Message>Not authorized with %s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, token)
	default:
		r.session.Store(req.FormValue("RoleSessionName"))
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
			`<SubjectFromWebIdentityToken>somebody</SubjectFromWebIdentityToken><Credentials><SessionToken>%s</SessionToken>`+
			`<SecretAccessKey>secret-of-session</SecretAccessKey><Expiration>2030-01-01T00:00:00Z</Expiration><AccessKeyId>ASIASESSION</AccessKeyId>`+
			`</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, sessionToken)
	}
}

// home is a user with a helper.
type home struct {
	*credhelper.Helper
	dir string
	env map[string]string
	log *strings.Builder
}

// newHome makes a user who trusts the certificate of a registry.
func newHome(t *testing.T, r *registry) home {
	dir := t.TempDir()
	h := home{dir: dir, env: map[string]string{"AWS_REGION": region, "AWS_CA_BUNDLE": filepath.Join(dir, "ca.pem")}, log: &strings.Builder{}}
	h.Helper = &credhelper.Helper{
		Getenv: func(name string) string { return h.env[name] }, Home: dir,
		Config: filepath.Join(dir, "config"), Cache: filepath.Join(dir, "cache"),
		Version: "test", Log: h.log, Timeout: 5 * time.Second,
	}
	h.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})))
	return h
}

func (h home) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// docker runs an action as docker does, and returns what docker reads.
func (h home) docker(t *testing.T, action, in string) string {
	t.Helper()
	var out strings.Builder
	if err := h.Docker(t.Context(), action, strings.NewReader(in), &out); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String())
}

func (h home) wantDocker(t *testing.T, action, in, want string) {
	t.Helper()
	if got := h.docker(t, action, in); got != want {
		t.Errorf("%s %s: got %s, want %s", action, in, got, want)
	}
}

// wantLogin fails the test unless the helper logs in with a password.
func (h home) wantLogin(t *testing.T, server, password string) {
	t.Helper()
	login, err := h.Login(t.Context(), server)
	if err != nil || login.Secret != password {
		t.Errorf("got %q, %v, want the password %q", login.Secret, err, password)
	}
}

// wantError fails the test unless the helper fails in these words.
func (h home) wantError(t *testing.T, server string, texts ...string) {
	t.Helper()
	login, err := h.Login(t.Context(), server)
	if err == nil {
		t.Errorf("got the login of %s, want an error with %q", login.Username, texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want %q in it", err, text)
		}
	}
	for _, k := range keys {
		for _, secret := range []string{k.Secret, sessionToken, "token of "} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
