package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"berth/auth/oidc/oidctest"
)

// No token is taken that the slow, obvious check refuses, and none is refused that it
// takes.
func TestRandom(t *testing.T) {
	w := newWorld(t, "RS256")
	keys := []oidctest.Key{w.key, oidctest.NewKey(t, "two", "ES256"), oidctest.NewKey(t, "secret", "RS256")}
	w.issuer.Publish(keys[0], keys[1])
	_, err := w.verify(t, w.good(t))
	must(t, err)
	now := w.clock.Now().Unix()
	taken := 0
	seldom := rapid.SampledFrom([]bool{true, false, false, false, false, false, false, false, false, false, false, false})
	rapid.Check(t, func(r *rapid.T) {
		// Most are what they should be, so that few things are wrong at a time.
		pick := func(name string, right any, wrong ...any) any {
			if !seldom.Draw(r, name+"?") {
				return right
			}
			return rapid.SampledFrom(wrong).Draw(r, name)
		}
		key := keys[rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(r, "key")]
		header := map[string]any{
			"alg": pick("alg", key.Method.Alg(), "none", "None", "HS256", "RS256", "ES256", "RS512", "ES384", "", nil),
			"kid": pick("kid", key.ID, "one", "two", "three", "", nil, 1),
		}
		claims := map[string]any{
			"iss": pick("iss", w.issuer.URL, w.issuer.URL+"/", "https://gitlab.com", "", nil),
			"sub": pick("sub", "alice", "", nil, 1),
			"aud": pick("aud", "berth", []string{"a", "b"}, []string{}, nil, 1),
			"exp": pick("exp", now+rapid.Int64Range(-60, 60).Draw(r, "exp+"), "x", nil, now+1e6),
			"nbf": pick("nbf", now+rapid.Int64Range(-60, 40).Draw(r, "nbf+"), nil, now+1e6),
			"iat": pick("iat", now+rapid.Int64Range(-60, 40).Draw(r, "iat+"), nil, now-1e6),
		}
		for _, m := range []map[string]any{header, claims} {
			for k, v := range m {
				if v == nil {
					delete(m, k)
				}
			}
		}
		text := encode(t, header) + "." + encode(t, claims)
		text += "." + base64.RawURLEncoding.EncodeToString(sign(t, key, header["alg"], text))
		if seldom.Draw(r, "spoil?") {
			at := rapid.SampledFrom([]int{0, 40, len(text) / 2, len(text) - 50, len(text) - 1}).Draw(r, "at")
			text = text[:at] + string(rapid.SampledFrom([]byte("AQgw.=_-\n")).Draw(r, "byte")) + text[at+1:]
		}
		_, err := w.verify(t, text)
		want := obvious(text, w.issuer.URL, now, keys[:2])
		if err == nil {
			taken++
		}
		if (err == nil) != want {
			r.Fatalf("%s\nheader %v, claims %v: %v, but the obvious check says %t", text, header, claims, err, want)
		}
	})
	if taken == 0 {
		t.Error("no token was taken: nothing was tested")
	}
}

func encode(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	must(t, err)
	return base64.RawURLEncoding.EncodeToString(b)
}

// sign signs as alg says where the key can do that, with its public half as the secret of
// HMAC, and otherwise as the key can.
func sign(t *testing.T, key oidctest.Key, alg any, text string) []byte {
	switch {
	case alg == "none" || alg == "None":
		return nil
	case alg == "HS256":
		b, err := json.Marshal(key.JWK())
		must(t, err)
		mac := hmac.New(sha256.New, b)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	b, err := key.Method.Sign(text, key.Private)
	must(t, err)
	return b
}

// obvious is what a good token is: one step after the other, with the standard library
// alone.
func obvious(text, issuer string, now int64, keys []oidctest.Key) bool {
	parts := strings.Split(strings.TrimRight(text, "\r\n"), ".")
	if len(parts) != 3 {
		return false
	}
	var b [3][]byte
	for i, p := range parts {
		var err error
		if b[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || strings.ContainsAny(p, "\r\n") {
			return false
		}
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Sub      string
		Aud           any
		Exp, Nbf, Iat *int64
	}
	if json.Unmarshal(b[0], &header) != nil && header.Alg == "" || json.Unmarshal(b[1], &claims) != nil {
		return false
	}
	if header.Kid == "" && json.Unmarshal(b[0], &header) != nil {
		header.Kid = "" // a number is no name, and a token may have none
	}
	if claims.Iss != issuer || claims.Sub == "" || claims.Exp == nil || *claims.Exp+30 <= now ||
		claims.Nbf != nil && *claims.Nbf-30 > now || claims.Iat != nil && *claims.Iat-30 > now {
		return false
	}
	switch aud := claims.Aud.(type) {
	case string:
		if aud == "" {
			return false
		}
	case []any:
		if len(aud) == 0 {
			return false
		}
	default:
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, k := range keys {
		if header.Kid != "" && header.Kid != k.ID || header.Alg != k.Method.Alg() {
			continue
		}
		switch public := k.Private.Public().(type) {
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], b[2]) == nil {
				return true
			}
		case *ecdsa.PublicKey:
			if len(b[2]) == 64 && ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(b[2][:32]), new(big.Int).SetBytes(b[2][32:])) {
				return true
			}
		}
	}
	return false
}
