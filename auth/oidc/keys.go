package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys = 100 // of one issuer that are read

	// Sizes of RSA keys: below there is no safety, above a signature takes a millisecond.
	minRSA = 2048
	maxRSA = 8192
)

// key is a public key of an issuer.
type key struct {
	id     string
	algs   []string // that it may be used with
	public jwt.VerificationKey
}

// fits reports whether a token may be signed with the key. One that does not say with
// which may be with any.
func (k key) fits(id, alg string) bool {
	return (id == "" || id == k.id) && slices.Contains(k.algs, alg)
}

// jwk is a key as an issuer publishes it.
// https://www.rfc-editor.org/rfc/rfc7517
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
	N     string `json:"n"`
	E     string `json:"e"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// parseKeys reads a set of keys. What is in it for other things than signatures, or cannot
// be read, is passed over, as RFC 7517 wants it; but one key must be left.
func parseKeys(b []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("the set of keys is not valid: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the set of keys has %d; at most %d are read", len(set.Keys), maxKeys)
	}
	var keys []key
	var fault error
	for _, b := range set.Keys {
		k, err := parseKey(b)
		if err != nil {
			fault = err
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("the set of keys has none that can be used"), fault)
	}
	return keys, nil
}

func parseKey(b []byte) (key, error) {
	var j jwk
	if err := json.Unmarshal(b, &j); err != nil {
		return key{}, err
	}
	if j.Use != "" && j.Use != "sig" {
		return key{}, fmt.Errorf("the key %q is for %q", j.ID, j.Use)
	}
	k := key{id: j.ID}
	var err error
	switch j.Type {
	case "RSA":
		k.algs = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		k.public, err = j.rsa()
	case "EC":
		k.algs, k.public, err = j.ecdsa()
	case "OKP":
		k.algs = []string{"EdDSA"}
		k.public, err = j.ed25519()
	default:
		err = fmt.Errorf("it is of the type %q", j.Type)
	}
	if err != nil {
		return key{}, fmt.Errorf("the key %q: %w", j.ID, err)
	}
	if j.Alg != "" {
		if !slices.Contains(k.algs, j.Alg) {
			return key{}, fmt.Errorf("the key %q is for the algorithm %q", j.ID, j.Alg)
		}
		k.algs = []string{j.Alg}
	}
	return k, nil
}

func (j jwk) rsa() (*rsa.PublicKey, error) {
	n, errN := base64.RawURLEncoding.DecodeString(j.N)
	e, errE := base64.RawURLEncoding.DecodeString(j.E)
	if err := errors.Join(errN, errE); err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSA || bits > maxRSA:
		return nil, fmt.Errorf("it has %d bits; %d to %d are taken", bits, minRSA, maxRSA)
	case exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0:
		return nil, fmt.Errorf("its exponent is %s", exponent)
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func (j jwk) ecdsa() ([]string, *ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	var alg string
	switch j.Curve {
	case "P-256":
		curve, alg = elliptic.P256(), "ES256"
	case "P-384":
		curve, alg = elliptic.P384(), "ES384"
	case "P-521":
		curve, alg = elliptic.P521(), "ES512"
	default:
		return nil, nil, fmt.Errorf("its curve is %q", j.Curve)
	}
	x, errX := base64.RawURLEncoding.DecodeString(j.X)
	y, errY := base64.RawURLEncoding.DecodeString(j.Y)
	if err := errors.Join(errX, errY); err != nil {
		return nil, nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, nil, fmt.Errorf("its coordinates have %d and %d bytes, not %d", len(x), len(y), size)
	}
	point := append(append([]byte{4}, x...), y...) // uncompressed, as SEC 1 has it
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return []string{alg}, public, err
}

func (j jwk) ed25519() (ed25519.PublicKey, error) {
	x, err := base64.RawURLEncoding.DecodeString(j.X)
	if err == nil && (j.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize) {
		err = fmt.Errorf("its curve is %q, with %d bytes", j.Curve, len(x))
	}
	return x, err
}
