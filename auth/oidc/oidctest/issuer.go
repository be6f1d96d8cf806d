// Package oidctest has an identity provider for tests.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer is an identity provider on this machine. It publishes the public halves of the
// keys that it is given.
type Issuer struct {
	*httptest.Server

	mu       sync.Mutex
	keys     []Key
	requests int
	answer   http.HandlerFunc // in place of its own; nil for none
}

// Key signs tokens.
type Key struct {
	ID      string
	Method  jwt.SigningMethod
	Private crypto.Signer
}

// Start starts an issuer that publishes keys.
func Start(t testing.TB, keys ...Key) *Issuer {
	i := &Issuer{keys: keys}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

// Publish has the issuer publish other keys.
func (i *Issuer) Publish(keys ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Answer has h answer for the issuer; nil lets it answer itself again.
func (i *Issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

// Requests is how many it has had since it was last asked.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.requests
	i.requests = 0
	return n
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests++
	answer, keys := i.answer, i.keys
	i.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		set := []any{}
		for _, k := range keys {
			set = append(set, k.JWK())
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	default:
		http.NotFound(w, r)
	}
}

// Claims are those of a good token for audience, with others besides.
func (i *Issuer) Claims(now time.Time, subject, audience string, others jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": i.URL, "sub": subject, "aud": audience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(c, others)
	return c
}

// NewKey makes a key for an algorithm.
func NewKey(t testing.TB, id, alg string) Key {
	t.Helper()
	k := Key{ID: id, Method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "ES256":
		k.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		k.Private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		k.Private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, k.Private, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.Private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil || k.Method == nil {
		t.Fatalf("no key for %s: %v", alg, err)
	}
	return k
}

// Sign makes a token.
func (k Key) Sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(k.Method, claims)
	token.Header["kid"] = k.ID
	text, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// JWK is the public half.
func (k Key) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	j := map[string]any{"kid": k.ID, "use": "sig"}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := public.Bytes()
		half := len(point) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", public.Curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(public)
	}
	return j
}
