package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"berth/auth"
	"berth/auth/token"
	"berth/auth/token/tokentest"
	"berth/registry"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newIssuer(t testing.TB, store token.KeyStore, c *clock) *token.Issuer {
	t.Helper()
	i, err := token.NewIssuer(store, token.Options{Service: "registry.example", Clock: c.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	return i
}

var es256 = jwt.SigningMethodES256

var (
	ci     = auth.Principal{Name: "ci", Kind: auth.User, Credential: "fingerprint"}
	scopes = []auth.Scope{{Type: "repository", Name: "team/app", Actions: []string{"pull", "push"}}}
)

func issue(t testing.TB, i *token.Issuer) string {
	t.Helper()
	tok, err := i.Issue(context.Background(), ci, scopes)
	must(t, err)
	return tok.Text
}

func TestIssueAndVerify(t *testing.T) {
	ctx, c := t.Context(), newClock()
	i := newIssuer(t, &tokentest.KeyStore{}, c)
	want := auth.Principal{Name: "ci", Kind: auth.User, Credential: "fingerprint", Limited: true, Scopes: scopes}
	text := issue(t, i)
	for range 2 { // the second is remembered
		p, err := i.Verify(ctx, text)
		if diff := cmp.Diff(want, p); err != nil || diff != "" {
			t.Fatalf("%v (-want +got)\n%s", err, diff)
		}
	}
	tok, err := i.Issue(ctx, auth.Nobody, nil)
	must(t, err)
	p, err := i.Verify(ctx, tok.Text)
	if err != nil || !p.IsAnonymous() || !p.Limited || len(p.Scopes) != 0 {
		t.Errorf("anonymous: %+v, %v", p, err)
	}
	if _, err := i.IssueRefresh(ctx, auth.Nobody); err == nil {
		t.Error("a refresh token for nobody")
	}
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	must(t, err)
	must(t, json.Unmarshal(payload, &claims))
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "kind"} {
		if claims[name] == nil {
			t.Errorf("the claim %s is missing", name)
		}
	}
}

// TestRoles has a token carry the session, which is what policies know it by.
func TestRoles(t *testing.T) {
	i := newIssuer(t, &tokentest.KeyStore{}, newClock())
	p := auth.Principal{
		Name: "build", Kind: auth.Role, Credential: "fingerprint",
		Session: "run-17", Tags: map[string]string{"team": "blue"},
	}
	tok, err := i.Issue(t.Context(), p, scopes)
	must(t, err)
	want := p
	want.Limited, want.Scopes = true, scopes
	got, err := i.Verify(t.Context(), tok.Text)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := i.IssueRefresh(t.Context(), p); err == nil {
		t.Error("a session got a token that outlives it")
	}
	p.Session = ""
	tok, err = i.Issue(t.Context(), p, scopes)
	must(t, err)
	if _, err := i.Verify(t.Context(), tok.Text); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("a role without a session: %v", err)
	}
}

// forge makes a token with claims and header changed, signed by method with key.
func forge(t testing.TB, method jwt.SigningMethod, key any, kid string, change func(header, claims map[string]any)) string {
	t.Helper()
	now := newClock().Now().Unix()
	claims := jwt.MapClaims{
		"iss": "berth", "sub": "ci", "aud": "registry.example", "exp": now + 300, "nbf": now, "iat": now, "jti": "x",
		"kind": "user", "cred": "fingerprint", "access": []any{},
	}
	tok := jwt.NewWithClaims(method, claims)
	tok.Header["kid"] = kid
	if change != nil {
		change(tok.Header, claims)
	}
	text, err := tok.SignedString(key)
	must(t, err)
	return text
}

func storedKey(t testing.TB, s token.KeyStore) (*ecdsa.PrivateKey, string) {
	t.Helper()
	keys, err := s.Keys(context.Background())
	must(t, err)
	private, err := x509.ParsePKCS8PrivateKey(keys[0].Private)
	must(t, err)
	return private.(*ecdsa.PrivateKey), keys[0].ID
}

func TestVerifyRefuses(t *testing.T) {
	ctx, c, store := t.Context(), newClock(), &tokentest.KeyStore{}
	i := newIssuer(t, store, c)
	good := issue(t, i)
	key, kid := storedKey(t, store)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	public, err := key.PublicKey.Bytes()
	must(t, err)
	now := c.Now().Unix()
	signed := func(change func(h, c map[string]any)) string {
		return forge(t, jwt.SigningMethodES256, key, kid, change)
	}
	set := func(name string, value any) string { return signed(func(_, c map[string]any) { c[name] = value }) }
	without := func(name string) string { return signed(func(_, c map[string]any) { delete(c, name) }) }
	refresh, err := i.IssueRefresh(ctx, ci)
	must(t, err)
	parts := strings.Split(good, ".")

	if _, err := i.Verify(ctx, signed(nil)); err != nil {
		t.Fatalf("the forgery that changes nothing: %v", err)
	}
	for _, test := range []struct{ name, text, says string }{
		{"empty", "", "not a JSON Web Token"},
		{"no token", "hello", "not a JSON Web Token"},
		{"cut short", good[:len(good)-20], ""},
		{"two parts", parts[0] + "." + parts[1], "only a part"},
		{"four parts", good + ".x", "not a JSON Web Token"},
		{"no signature", parts[0] + "." + parts[1] + ".", "signature"},
		{"changed claims", parts[0] + "." + parts[1][:20] + "A" + parts[1][21:] + "." + parts[2], ""},
		{"oversized", good + strings.Repeat("A", 64<<10), "more than"},
		{"alg none", forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil), "ES256"},
		{"HS256 with the public key", forge(t, jwt.SigningMethodHS256, public, kid, nil), "ES256"},
		{"ES384", forge(t, jwt.SigningMethodES384, big, kid, nil), "ES256"},
		{"another key", forge(t, jwt.SigningMethodES256, other, kid, nil), "signature"},
		{"unknown key", forge(t, jwt.SigningMethodES256, other, "unknown", nil), "does not know"},
		{"no kid", signed(func(h, _ map[string]any) { delete(h, "kid") }), "does not know"},
		{"kid is no string", signed(func(h, _ map[string]any) { h["kid"] = 7 }), "does not know"},
		{"crit", signed(func(h, _ map[string]any) { h["crit"] = []string{"x"} }), "extension"},
		{"wrong audience", set("aud", "other.example"), "another service"},
		{"refresh token", refresh.Text, "refresh token"},
		{"wrong issuer", set("iss", "other"), "another registry"},
		{"expired", set("exp", now-11), "expired"},
		{"no expiry", without("exp"), ""},
		{"not yet", set("nbf", now+60), "not valid yet"},
		{"from the future", set("iat", now+60), "future"},
		{"no subject", without("sub"), "nothing this registry"},
		{"no kind", without("kind"), "nothing this registry"},
		{"strange kind", set("kind", "root"), "nothing this registry"},
		{"anonymous with a name", set("kind", "anonymous"), "nothing this registry"},
		{"no credential", without("cred"), "nothing this registry"},
		{"access is no list", set("access", "all"), "not a JSON Web Token"},
	} {
		p, err := i.Verify(ctx, test.text)
		refused, ok := errors.AsType[*auth.RefusedError](err)
		if !ok || !errors.Is(err, registry.ErrUnauthorized) || refused.Reason != auth.InvalidToken || !p.IsAnonymous() || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, %v", test.name, p, err)
		}
	}
	if _, err := i.VerifyRefresh(ctx, good); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("an access token as a refresh token: %v", err)
	}
	if _, err := i.VerifyRefresh(ctx, strings.Repeat("x", 64<<10)); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("an oversized refresh token: %v", err)
	}

	_, err = i.Verify(ctx, good)
	must(t, err)
	c.Advance(5*time.Minute + 11*time.Second)
	if _, err := i.Verify(ctx, good); !errors.Is(err, registry.ErrUnauthorized) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a remembered token after its end: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []token.Options{{Access: time.Second}, {Refresh: time.Minute}, {Rotation: time.Minute}} {
		if _, err := token.NewIssuer(&tokentest.KeyStore{}, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestLargeTokensAreNotRemembered keeps a flood of them from filling the memory.
func TestLargeTokensAreNotRemembered(t *testing.T) {
	i := newIssuer(t, &tokentest.KeyStore{}, newClock())
	for _, v := range []struct{ scopes, remembered int }{{1, 1}, {5, 2}, {400, 2}, {100, 2}} {
		var scopes []auth.Scope
		for n := range v.scopes {
			scopes = append(scopes, auth.Scope{Type: "repository", Name: fmt.Sprint("r", n), Actions: []string{"pull"}})
		}
		tok, err := i.Issue(t.Context(), auth.Principal{Name: "ann", Kind: auth.User, Credential: "x"}, scopes)
		must(t, err)
		for range 2 {
			p, err := i.Verify(t.Context(), tok.Text)
			if err != nil || len(p.Scopes) != v.scopes {
				t.Errorf("%d scopes: %d, %v", v.scopes, len(p.Scopes), err)
			}
		}
		if got := i.Remembered(); got != v.remembered {
			t.Errorf("%d scopes, %d bytes: %d tokens are remembered, want %d", v.scopes, len(tok.Text), got, v.remembered)
		}
	}
}

func FuzzVerify(f *testing.F) {
	store, c := &tokentest.KeyStore{}, newClock()
	i := newIssuer(f, store, c)
	good := issue(f, i)
	key, kid := storedKey(f, store)
	f.Add(good)
	f.Add(good[:40])
	f.Add(forge(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil))
	f.Add(forge(f, jwt.SigningMethodES256, key, "x", nil))
	f.Add("a.b.c")
	claims := strings.Join(strings.Split(good, ".")[:2], ".")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := i.Verify(context.Background(), text)
		switch {
		case err == nil && !strings.HasPrefix(text, claims+"."):
			t.Fatalf("%q passes", text)
		case err != nil && !errors.Is(err, registry.ErrUnauthorized):
			t.Fatal(err)
		}
	})
}
