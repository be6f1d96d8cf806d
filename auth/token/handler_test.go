package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
	"berth/auth/authtest"
	"berth/auth/token"
	"berth/auth/token/tokentest"
)

const password = "correct horse"

// endpoint is a token endpoint over HTTP, with the users alice (power user), bob
// (may only pull) and the robot deploy.
type endpoint struct {
	*httptest.Server
	clock   *clock
	manager *auth.Manager
	issuer  *token.Issuer
	access  *auth.Access
	secret  string
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	c, store, ctx := newClock(), authtest.NewStore(), t.Context()
	access, err := auth.NewAccess(store, auth.Options{Clock: c.Now, AnonymousPull: []string{"public/*"}})
	must(t, err)
	issuer, err := token.NewIssuer(&tokentest.KeyStore{}, token.Options{Service: "registry.example", Clock: c.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	e := &endpoint{clock: c, manager: &auth.Manager{Store: store, Clock: c.Now}, issuer: issuer, access: access}
	for name, policy := range map[string]string{"alice": auth.PowerUser, "bob": auth.PullOnly} {
		_, err := e.manager.CreateUser(ctx, name, password)
		must(t, err)
		must(t, e.manager.Attach(ctx, name, policy))
	}
	_, e.secret, err = e.manager.CreateRobot(ctx, "deploy", time.Time{})
	must(t, err)
	must(t, e.manager.Attach(ctx, "deploy", auth.PullOnly))

	mux := http.NewServeMux()
	mux.Handle("/token", &token.Handler{
		Issuer: issuer, Access: access,
		Authenticator: &auth.Authenticator{Login: auth.NewLogin(access), Tokens: issuer},
	})
	mux.HandleFunc("/.well-known/jwks.json", issuer.ServeKeys)
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

type answer struct {
	Status       int
	Header       http.Header
	Token        string    `json:"token"`
	AccessToken  string    `json:"access_token"`
	Scope        string    `json:"scope"`
	ExpiresIn    int       `json:"expires_in"`
	IssuedAt     time.Time `json:"issued_at"`
	RefreshToken string    `json:"refresh_token"`
	Errors       []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}

func (e *endpoint) do(t *testing.T, r *http.Request) (a answer) {
	t.Helper()
	resp, err := e.Client().Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if len(b) > 0 {
		must(t, json.Unmarshal(b, &a))
	}
	a.Status, a.Header = resp.StatusCode, resp.Header
	return a
}

func (e *endpoint) get(t *testing.T, query, name, password string) answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, e.URL+"/token?"+query, nil)
	must(t, err)
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	return e.do(t, r)
}

func (e *endpoint) post(t *testing.T, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, e.URL+"/token", strings.NewReader(form.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return e.do(t, r)
}

func TestGetToken(t *testing.T) {
	e := newEndpoint(t)
	for _, test := range []struct {
		name, query, user, password string
		status                      int
		want                        string // the scope, or the code of the error
	}{
		{"push", "service=registry.example&scope=repository:team/app:pull,push&account=alice&client_id=docker", "alice", password, 200, "repository:team/app:pull,push"},
		{"more than allowed", "service=registry.example&scope=repository:team/app:pull,push,delete", "alice", password, 200, "repository:team/app:pull,push"},
		{"only pull", "service=registry.example&scope=repository:team/app:pull,push", "bob", password, 200, "repository:team/app:pull"},
		{"robot", "service=registry.example&scope=repository:team/app:pull", "deploy", e.secret, 200, "repository:team/app:pull"},
		{"several", "scope=repository:a:pull&scope=repository:b:pull,push", "alice", password, 200, "repository:a:pull repository:b:pull,push"},
		{"several in one", "scope=repository:a:pull+repository:b:pull,push", "alice", password, 200, "repository:a:pull repository:b:pull,push"},
		{"login", "service=registry.example&account=alice", "alice", password, 200, ""},
		{"empty scope", "service=registry.example&scope=", "alice", password, 200, ""},
		{"anonymous", "service=registry.example&scope=repository:public/app:pull,push", "", "", 200, "repository:public/app:pull"},
		{"anonymous without a right", "service=registry.example&scope=repository:team/app:pull", "", "", 200, ""},
		{"catalog", "scope=registry:catalog:*", "bob", password, 200, "registry:catalog:*"},
		{"class", "scope=repository(plugin):a:pull", "bob", password, 200, "repository:a:pull"},
		{"wrong password", "service=registry.example", "alice", "wrong horse", 401, "UNAUTHORIZED"},
		{"unknown user", "service=registry.example", "carol", password, 401, "UNAUTHORIZED"},
		{"wrong service", "service=other.example", "alice", password, 400, "UNSUPPORTED"},
		{"bad scope", "scope=team/app", "alice", password, 400, "UNSUPPORTED"},
		{"bad name", "scope=repository:Team:pull", "alice", password, 400, "NAME_INVALID"},
		{"bad query", "scope=%zz", "alice", password, 400, "UNSUPPORTED"},
	} {
		a := e.get(t, test.query, test.user, test.password)
		got := a.Scope
		if len(a.Errors) > 0 {
			got = a.Errors[0].Code
		}
		if a.Status != test.status || got != test.want {
			t.Errorf("%s: %d %q, want %d %q (%v)", test.name, a.Status, got, test.status, test.want, a.Errors)
		}
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers %v", test.name, a.Header)
		}
		if (a.Status == 401) != strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: challenge %q", test.name, a.Header.Get("WWW-Authenticate"))
		}
		if a.Status != 200 {
			continue
		}
		if a.Token == "" || a.Token != a.AccessToken || a.ExpiresIn != 300 || !a.IssuedAt.Equal(e.clock.Now()) || a.RefreshToken != "" {
			t.Errorf("%s: %+v", test.name, a)
		}
		p, err := e.issuer.Verify(t.Context(), a.Token)
		if err != nil || auth.FormatScopes(p.Scopes) != test.want || p.Name != test.user || !p.Limited {
			t.Errorf("%s: the token is for %+v, %v", test.name, p, err)
		}
		must(t, e.access.Greet(auth.WithPrincipal(t.Context(), p)))
	}
	r, err := http.NewRequest(http.MethodGet, e.URL+"/token", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer x")
	if a := e.do(t, r); a.Status != 401 {
		t.Errorf("with a bearer token: %d", a.Status)
	}
	if r, _ = http.NewRequest(http.MethodPut, e.URL+"/token", nil); e.do(t, r).Status != 405 {
		t.Error("PUT is not refused")
	}
}

func TestPostToken(t *testing.T) {
	e := newEndpoint(t)
	form := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	a := e.post(t, form("grant_type", "password", "username", "alice", "password", password, "service", "registry.example", "client_id", "containerd",
		"scope", "repository:a:pull,push repository:b:delete", "access_type", "offline"))
	if a.Status != 200 || a.Scope != "repository:a:pull,push" || a.RefreshToken == "" || a.AccessToken == "" {
		t.Fatalf("%+v", a)
	}
	again := func() answer {
		return e.post(t, form("grant_type", "refresh_token", "refresh_token", a.RefreshToken, "service", "registry.example", "scope", "repository:c:pull"))
	}
	e.clock.Advance(24 * time.Hour)
	if b := again(); b.Status != 200 || b.Scope != "repository:c:pull" || b.RefreshToken != a.RefreshToken {
		t.Errorf("refreshed: %+v", b)
	}
	b := e.get(t, "offline_token=true&service=registry.example", "bob", password)
	if b.Status != 200 || b.RefreshToken == "" {
		t.Errorf("offline_token: %+v", b)
	}
	if anonymous := e.get(t, "offline_token=true", "", ""); anonymous.Status != 200 || anonymous.RefreshToken != "" {
		t.Errorf("offline_token for anonymous: %+v", anonymous)
	}

	for _, test := range []struct {
		name   string
		form   url.Values
		status int
		code   string
	}{
		{"wrong password", form("grant_type", "password", "username", "alice", "password", "wrong horse"), 401, "UNAUTHORIZED"},
		{"no password", form("grant_type", "password"), 401, "UNAUTHORIZED"},
		{"no grant", form("username", "alice"), 400, "UNSUPPORTED"},
		{"other grant", form("grant_type", "authorization_code"), 400, "UNSUPPORTED"},
		{"wrong service", form("grant_type", "password", "username", "alice", "password", password, "service", "x"), 400, "UNSUPPORTED"},
		{"bad scope", form("grant_type", "password", "username", "alice", "password", password, "scope", "x"), 400, "UNSUPPORTED"},
		{"access token for refreshing", form("grant_type", "refresh_token", "refresh_token", a.AccessToken), 401, "UNAUTHORIZED"},
		{"no refresh token", form("grant_type", "refresh_token"), 401, "UNAUTHORIZED"},
		{"too much", form("grant_type", "password", "password", strings.Repeat("x", 100<<10)), 400, "UNSUPPORTED"},
	} {
		got := e.post(t, test.form)
		if got.Status != test.status || len(got.Errors) != 1 || got.Errors[0].Code != test.code {
			t.Errorf("%s: %d %v", test.name, got.Status, got.Errors)
		}
	}

	must(t, e.manager.SetDisabled(t.Context(), "alice", true))
	if b := again(); b.Status != 401 {
		t.Errorf("disabled: %d", b.Status)
	}
	must(t, e.manager.SetDisabled(t.Context(), "alice", false))
	must(t, e.manager.SetPassword(t.Context(), "alice", "another horse"))
	if b := again(); b.Status != 401 || !strings.Contains(b.Errors[0].Message, "password of user alice has changed") {
		t.Errorf("after another password: %d %v", b.Status, b.Errors)
	}
}

func TestLoginsAreThrottled(t *testing.T) {
	e := newEndpoint(t)
	var last answer
	for range 11 {
		last = e.get(t, "", "alice", "wrong horse")
	}
	if last.Status != 429 || last.Errors[0].Code != "TOOMANYREQUESTS" || last.Header.Get("Retry-After") != "6" {
		t.Errorf("%d, Retry-After %q, %v", last.Status, last.Header.Get("Retry-After"), last.Errors)
	}
}

// TestKeysArePublic verifies a token with nothing but what the registry publishes.
func TestKeysArePublic(t *testing.T) {
	e := newEndpoint(t)
	resp, err := e.Client().Get(e.URL + "/.well-known/jwks.json")
	must(t, err)
	defer resp.Body.Close()
	var set struct{ Keys []map[string]string }
	must(t, json.NewDecoder(resp.Body).Decode(&set))
	if len(set.Keys) != 1 {
		t.Fatalf("keys: %v", set.Keys)
	}
	k := set.Keys[0]
	if k["kty"] != "EC" || k["crv"] != "P-256" || k["alg"] != "ES256" || k["use"] != "sig" || k["d"] != "" {
		t.Errorf("key: %v", k)
	}
	x, err := base64.RawURLEncoding.DecodeString(k["x"])
	must(t, err)
	y, err := base64.RawURLEncoding.DecodeString(k["y"])
	must(t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	must(t, err)
	a := e.get(t, "scope=repository:a:pull", "alice", password)
	_, err = jwt.Parse(a.Token, func(tok *jwt.Token) (any, error) {
		if tok.Header["kid"] != k["kid"] {
			t.Errorf("kid %v, published %v", tok.Header["kid"], k["kid"])
		}
		return public, nil
	}, jwt.WithTimeFunc(e.clock.Now), jwt.WithValidMethods([]string{"ES256"}))
	must(t, err)
}
