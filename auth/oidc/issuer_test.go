package oidc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"berth/auth/oidc"
	"berth/auth/oidc/oidctest"
)

func TestRotation(t *testing.T) {
	w := newWorld(t, "RS256")
	old := w.good(t)
	for range 3 {
		_, err := w.verify(t, old)
		must(t, err)
	}
	if n := w.issuer.Requests(); n != 2 { // the configuration and the keys
		t.Errorf("the issuer was asked %d times", n)
	}

	// A new key is looked for once in a minute, however many ask.
	second := oidctest.NewKey(t, "two", "ES256")
	fresh := second.Sign(t, w.issuer.Claims(w.clock.Now(), "alice", "berth", nil))
	w.issuer.Publish(w.key, second)
	for range 3 {
		_, err := w.verify(t, fresh)
		wantCode(t, "a new key, too early", err, oidc.Invalid)
	}
	if n := w.issuer.Requests(); n != 0 {
		t.Errorf("the issuer was asked %d times within a minute", n)
	}
	w.clock.Advance(time.Minute)
	_, err := w.verify(t, fresh)
	must(t, err)
	_, err = w.verify(t, old)
	must(t, err)
	if n := w.issuer.Requests(); n != 2 {
		t.Errorf("the issuer was asked %d times for a new key", n)
	}

	// A key that was withdrawn is out of use after an hour.
	w.issuer.Publish(second)
	w.clock.Advance(time.Hour)
	_, err = w.verify(t, w.good(t))
	wantCode(t, "a key that was withdrawn", err, oidc.Invalid)
}

func TestUnavailable(t *testing.T) {
	w := newWorld(t, "RS256")
	down := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "down", http.StatusBadGateway) }
	w.issuer.Answer(down)
	for range 3 {
		_, err := w.verify(t, w.good(t))
		wantCode(t, "down", err, oidc.Unreachable)
		if e, _ := errors.AsType[*oidc.Error](err); strings.Contains(e.Message, "502") || !strings.Contains(err.Error(), "502") {
			t.Errorf("clients are told %q, and the log %q", e.Message, err)
		}
	}
	if n := w.issuer.Requests(); n != 1 {
		t.Errorf("an issuer that is down was asked %d times", n)
	}
	w.issuer.Answer(nil)
	w.clock.Advance(5 * time.Second)
	_, err := w.verify(t, w.good(t))
	must(t, err)

	// Keys that are known do for a day.
	w.issuer.Answer(down)
	w.clock.Advance(23 * time.Hour)
	_, err = w.verify(t, w.good(t))
	must(t, err)
	w.clock.Advance(time.Hour)
	_, err = w.verify(t, w.good(t))
	wantCode(t, "down for a day", err, oidc.Unreachable)
}

func TestHangs(t *testing.T) {
	w := newWorld(t, "RS256")
	release := make(chan struct{})
	defer close(release)
	w.issuer.Answer(func(http.ResponseWriter, *http.Request) { <-release })
	begin := time.Now()
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, err := w.verify(t, w.good(t))
			wantCode(t, "an issuer that hangs", err, oidc.Unreachable)
		})
	}
	wait.Wait()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := w.issuer.Requests(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}

	// Who goes away does not wait, and takes nobody along.
	w.clock.Advance(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.verifier.Verify(ctx, w.good(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
}

// Bodies that go on for ever, slowly or fast, and what else issuers may answer.
func TestAnswers(t *testing.T) {
	key := oidctest.NewKey(t, "one", "RS256")
	set := func(keys ...any) string {
		b, err := json.Marshal(map[string]any{"keys": keys})
		must(t, err)
		return string(b)
	}
	with := func(changes map[string]any) map[string]any {
		j := key.JWK()
		for k, v := range changes {
			j[k] = v
		}
		return j
	}
	good := key.JWK()
	for _, test := range []struct {
		name, keys string
		want       string // in the error; empty if the keys do
	}{
		{"one key", set(good), ""},
		{"what is not known is passed over", set(map[string]any{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}, "rubbish", with(map[string]any{"kty": "XX"}), good), ""},
		{"ten megabytes", `{"keys": [` + strings.Repeat(" ", 10<<20) + `]}`, "more than 524288 bytes"},
		{"ten megabytes after the keys", set(good) + strings.Repeat(" ", 10<<20), "more than 524288 bytes"},
		{"no JSON", "<html>", "is not valid"},
		{"no keys", "{}", "none that can be used"},
		{"many keys", set(make([]any, 101)...), "at most 100"},
		{"a secret", set(map[string]any{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}), `of the type "oct"`},
		{"for encryption", set(with(map[string]any{"use": "enc"})), `is for "enc"`},
		{"for another algorithm", set(with(map[string]any{"alg": "RS512"})), "publishes none like that"},
		{"for HMAC", set(with(map[string]any{"alg": "HS256"})), `is for the algorithm "HS256"`},
		{"a short key", set(with(map[string]any{"n": good["n"].(string)[:100]})), "bits; 2048 to 8192"},
		{"a long key", set(with(map[string]any{"n": strings.Repeat("__", 2000)})), "bits; 2048 to 8192"},
		{"an exponent of one", set(with(map[string]any{"e": "AQ"})), "exponent is 1"},
		{"a large exponent", set(with(map[string]any{"e": "AQAAAAAAAAAB"})), "exponent is"},
		{"a point that is not on its curve", set(map[string]any{"kty": "EC", "kid": "one", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), "none that can be used"},
		{"a curve that is not known", set(map[string]any{"kty": "EC", "kid": "one", "crv": "secp256k1"}), "its curve is"},
		{"another name", set(with(map[string]any{"kid": "other"})), "publishes none like that"},
	} {
		w := newWorld(t, "RS256")
		w.key = key
		w.issuer.Answer(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				io.WriteString(rw, test.keys)
				return
			}
			fmt.Fprintf(rw, `{"issuer": %q, "jwks_uri": %q}`, w.issuer.URL, w.issuer.URL+"/keys")
		})
		_, err := w.verify(t, w.good(t))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// transport answers requests by their URL.
type transport map[string]string

func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, ok := tr[r.URL.String()]
	if !ok {
		return nil, errors.New("nobody may be asked " + r.URL.String())
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body)), Request: r}
	if location, ok := strings.CutPrefix(body, "-> "); ok {
		resp.StatusCode, resp.Status = http.StatusFound, "302 Found"
		resp.Header.Set("Location", location)
	}
	return resp, nil
}

func TestWhoIsAsked(t *testing.T) {
	key := oidctest.NewKey(t, "one", "ES256")
	b, err := json.Marshal(map[string]any{"keys": []any{key.JWK()}})
	must(t, err)
	keys := string(b)
	const path = "/.well-known/openid-configuration"
	for _, test := range []struct {
		name, issuer string
		allowHTTP    bool
		answers      transport
		want         string
	}{
		{"https", "https://a.test", false, transport{"https://a.test" + path: `{"issuer": "https://a.test", "jwks_uri": "https://b.test/keys"}`, "https://b.test/keys": keys}, ""},
		{"a path", "https://a.test/id/x", false, transport{"https://a.test/id/x" + path: `{"issuer": "https://a.test/id/x", "jwks_uri": "https://a.test/keys"}`, "https://a.test/keys": keys}, ""},
		{"a slash at the end", "https://a.test/", false, transport{"https://a.test" + path: `{"issuer": "https://a.test/", "jwks_uri": "https://a.test/keys"}`, "https://a.test/keys": keys}, ""},
		{"http", "http://a.test", false, nil, "is not https"},
		{"http that is allowed", "http://a.test", true, transport{"http://a.test" + path: `{"issuer": "http://a.test", "jwks_uri": "http://a.test/keys"}`, "http://a.test/keys": keys}, ""},
		{"http on this machine", "http://[::1]:80", false, transport{"http://[::1]:80" + path: `{"issuer": "http://[::1]:80", "jwks_uri": "http://[::1]:80/keys"}`, "http://[::1]:80/keys": keys}, ""},
		{"a host like this machine", "http://127.0.0.1.a.test", false, nil, "is not https"},
		{"keys without TLS", "https://a.test", true, transport{"https://a.test" + path: `{"issuer": "https://a.test", "jwks_uri": "http://a.test/keys"}`}, "jwks_uri"},
		{"keys on this machine", "https://a.test", false, transport{"https://a.test" + path: `{"issuer": "https://a.test", "jwks_uri": "http://127.0.0.1/keys"}`}, "jwks_uri"},
		{"keys in a file", "https://a.test", false, transport{"https://a.test" + path: `{"issuer": "https://a.test", "jwks_uri": "file:///etc/passwd"}`}, "is no URL to ask"},
		{"no keys", "https://a.test", false, transport{"https://a.test" + path: `{"issuer": "https://a.test"}`}, "is no URL to ask"},
		{"the configuration of another", "https://a.test", false, transport{"https://a.test" + path: `{"issuer": "https://b.test", "jwks_uri": "https://a.test/keys"}`}, "that of the issuer"},
		{"sent elsewhere", "https://a.test", false, transport{"https://a.test" + path: "-> https://b.test/"}, "302"},
		{"nobody", "https://a.test", false, nil, "nobody may be asked"},
	} {
		v := oidc.NewVerifier(func(context.Context, string) (bool, error) { return true, nil },
			oidc.Options{AllowHTTP: test.allowHTTP, Transport: test.answers})
		_, err := v.Verify(t.Context(), key.Sign(t, jwt.MapClaims{
			"iss": test.issuer, "sub": "alice", "aud": "berth", "exp": time.Now().Add(time.Minute).Unix(),
		}))
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.want != "" {
			wantCode(t, test.name, err, oidc.Unreachable)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", test.name, err, test.want)
			}
		}
	}
}
