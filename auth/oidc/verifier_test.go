package oidc_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"berth/auth/oidc"
	"berth/auth/oidc/oidctest"
)

func TestAlgorithms(t *testing.T) {
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		w := newWorld(t, alg)
		who, err := w.verify(t, w.good(t))
		if err != nil || who.Subject != "alice" || who.Issuer != w.issuer.URL || !slices.Equal(who.Audience, []string{"berth"}) {
			t.Errorf("%s: %+v, %v", alg, who, err)
		}
	}
}

// The claims of GitHub's and GitLab's tokens, as their documentation has them.
func TestClaims(t *testing.T) {
	w := newWorld(t, "RS256")
	github := w.issuer.Claims(w.clock.Now(), "repo:octo-org/octo-repo:environment:prod", "sts.amazonaws.com", jwt.MapClaims{
		"environment": "prod", "ref": "refs/heads/main", "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
		"run_id": "example-run-id", "run_attempt": "2", "runner_environment": "github-hosted", "ref_protected": "true",
		"job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main", "jti": "example-id",
	})
	who, err := w.verify(t, w.key.Sign(t, github))
	must(t, err)
	for name, want := range map[string]string{"repository": "octo-org/octo-repo", "ref_protected": "true", "sub": who.Subject, "iss": w.issuer.URL} {
		if got := who.Claims[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("GitHub's %s is %q", name, got)
		}
	}
	gitlab := w.issuer.Claims(w.clock.Now(), "project_path:mygroup/app:ref_type:branch:ref:main", "", jwt.MapClaims{
		"aud": []string{"https://berth.example.com", "other"}, "namespace_id": "72", "user_access_level": "owner",
		"user_identities": []any{map[string]string{"provider": "github"}}, "groups_direct": []string{"mygroup/sub", "b"},
		"ref_protected": true, "pipeline_id": 1212, "big": 12345678901234567, "deployment_tier": nil, "project": map[string]string{"a": "b"},
		"mixed": []any{"a", map[string]string{}}, "nested": []any{[]string{"a"}}, "none": []string{},
	})
	who, err = w.verify(t, w.key.Sign(t, gitlab))
	must(t, err)
	got := map[string][]string{}
	for _, name := range []string{"aud", "groups_direct", "ref_protected", "pipeline_id", "big", "user_identities", "deployment_tier", "project", "mixed", "nested", "none"} {
		if v, ok := who.Claims[name]; ok {
			got[name] = v
		}
	}
	if diff := cmp.Diff(map[string][]string{
		"aud": {"https://berth.example.com", "other"}, "groups_direct": {"mygroup/sub", "b"}, "ref_protected": {"true"},
		"pipeline_id": {"1212"}, "big": {"12345678901234567"},
	}, got); diff != "" {
		t.Errorf("GitLab's claims (-want +got):\n%s", diff)
	}
}

func TestRefuses(t *testing.T) {
	w := newWorld(t, "RS256")
	other := oidctest.NewKey(t, "one", "RS256") // of the same name
	ec := oidctest.NewKey(t, "one", "ES256")
	now := w.clock.Now()
	sign := func(others jwt.MapClaims) string {
		return w.key.Sign(t, w.issuer.Claims(now, "alice", "berth", others))
	}
	good := w.good(t)
	parts := strings.Split(good, ".")
	header := func(text string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1] + "."
	}

	// HMAC with what is public as its secret, in the forms that libraries have taken.
	public := w.key.Private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	hmac := func(secret []byte) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, w.issuer.Claims(now, "alice", "berth", nil))
		token.Header["kid"] = "one"
		text, err := token.SignedString(secret)
		must(t, err)
		return text
	}
	none := jwt.NewWithClaims(jwt.SigningMethodNone, w.issuer.Claims(now, "alice", "berth", nil))
	none.Header["kid"] = "one"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	must(t, err)

	// Two bits of the last character belong to no byte.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	eternal := w.issuer.Claims(now, "alice", "berth", nil)
	delete(eternal, "exp")

	for _, test := range []struct {
		name, token string
		code        oidc.Code
	}{
		{"nothing", "", oidc.Invalid},
		{"rubbish", "a.b.c", oidc.Invalid},
		{"too long", good + strings.Repeat("x", oidc.MaxToken), oidc.Invalid},
		{"without its signature", parts[0] + "." + parts[1] + ".", oidc.Invalid},
		{"another signature", good[:len(good)-6] + "AAAAAA", oidc.Invalid},
		{"another form of the signature", good[:len(good)-1] + alphabet[last^1:][:1], oidc.Invalid},
		{"a line end inside", good[:len(good)-4] + "\n" + good[len(good)-4:], oidc.Invalid},
		{"another payload", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss": "`+w.issuer.URL+`", "sub": "bob", "aud": "berth", "exp": 9999999999}`)) + "." + parts[2], oidc.Invalid},
		{"another key of the same name", other.Sign(t, w.issuer.Claims(now, "alice", "berth", nil)), oidc.Invalid},
		{"a key of another kind", ec.Sign(t, w.issuer.Claims(now, "alice", "berth", nil)), oidc.Invalid},
		{"an unknown key", oidctest.NewKey(t, "two", "RS256").Sign(t, w.issuer.Claims(now, "alice", "berth", nil)), oidc.Invalid},
		{"HS256, the modulus", hmac(public.N.Bytes()), oidc.Invalid},
		{"HS256, DER", hmac(der), oidc.Invalid},
		{"HS256, PEM", hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), oidc.Invalid},
		{"none", unsigned, oidc.Invalid},
		{"None", header(`{"alg": "None", "kid": "one"}`), oidc.Invalid},
		{"an unknown algorithm", header(`{"alg": "XS256", "kid": "one"}`) + parts[2], oidc.Invalid},
		{"a critical header", header(`{"alg": "RS256", "kid": "one", "crit": ["b64"]}`) + parts[2], oidc.Invalid},
		{"expired", sign(jwt.MapClaims{"exp": now.Add(-31 * time.Second).Unix()}), oidc.Expired},
		{"never expires", sign(jwt.MapClaims{"exp": nil}), oidc.Invalid},
		{"has no end", w.key.Sign(t, eternal), oidc.Invalid},
		{"expires in words", sign(jwt.MapClaims{"exp": "tomorrow"}), oidc.Invalid},
		{"of the future, nbf", sign(jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()}), oidc.Rejected},
		{"of the future, iat", sign(jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}), oidc.Rejected},
		{"no issuer", sign(jwt.MapClaims{"iss": nil}), oidc.Invalid},
		{"another issuer", sign(jwt.MapClaims{"iss": "https://gitlab.com"}), oidc.Invalid},
		{"almost the issuer", sign(jwt.MapClaims{"iss": w.issuer.URL + "/"}), oidc.Invalid},
		{"a list of issuers", sign(jwt.MapClaims{"iss": []string{w.issuer.URL}}), oidc.Invalid},
		{"no subject", sign(jwt.MapClaims{"sub": ""}), oidc.Invalid},
		{"a subject of numbers", sign(jwt.MapClaims{"sub": 17}), oidc.Invalid},
		{"no audience", sign(jwt.MapClaims{"aud": nil}), oidc.Invalid},
		{"an empty list of audiences", sign(jwt.MapClaims{"aud": []string{}}), oidc.Invalid},
		{"an audience of numbers", sign(jwt.MapClaims{"aud": []int{1}}), oidc.Invalid},
	} {
		who, err := w.verify(t, test.token)
		wantCode(t, test.name, err, test.code)
		if err != nil && (strings.Contains(err.Error(), "panic") || len(err.Error()) > 600) {
			t.Errorf("%s: it says %v", test.name, err)
		}
		if test.code != oidc.Invalid && who.Subject != "" {
			t.Errorf("%s: it is %+v", test.name, who)
		}
	}
	if _, err := w.verify(t, good+"\r\n"); err != nil {
		t.Errorf("a line end after it: %v", err)
	}
	if _, err := w.verify(t, sign(jwt.MapClaims{"exp": now.Add(-29 * time.Second).Unix(), "iat": now.Add(29 * time.Second).Unix()})); err != nil {
		t.Errorf("a clock that differs a little: %v", err)
	}
}

// Only issuers that are trusted are ever asked.
func TestTrusted(t *testing.T) {
	w := newWorld(t, "ES256")
	stranger := oidctest.Start(t, w.key)
	_, err := w.verify(t, w.key.Sign(t, stranger.Claims(w.clock.Now(), "alice", "berth", nil)))
	wantCode(t, "a stranger", err, oidc.Invalid)
	if n := stranger.Requests(); n > 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
	delete(w.trusted, w.issuer.URL)
	_, err = w.verify(t, w.good(t))
	wantCode(t, "not trusted any more", err, oidc.Invalid)
	if n := w.issuer.Requests(); n > 0 {
		t.Errorf("it was asked %d times", n)
	}
	fault := errors.New("the database is gone")
	v := oidc.NewVerifier(func(context.Context, string) (bool, error) { return false, fault }, oidc.Options{})
	if who, err := v.Verify(t.Context(), w.good(t)); !errors.Is(err, fault) || who.Subject != "" {
		t.Errorf("a fault of ours: %v", err)
	}
}

// Keys of two issuers are kept apart.
func TestIssuersApart(t *testing.T) {
	w := newWorld(t, "ES256")
	key := oidctest.NewKey(t, "one", "ES256")
	second := oidctest.Start(t, key)
	w.trusted[second.URL] = true
	_, err := w.verify(t, w.good(t))
	must(t, err)
	_, err = w.verify(t, key.Sign(t, second.Claims(w.clock.Now(), "alice", "berth", nil)))
	must(t, err)
	_, err = w.verify(t, key.Sign(t, w.issuer.Claims(w.clock.Now(), "alice", "berth", nil)))
	wantCode(t, "the key of the other", err, oidc.Invalid)
}
