package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// What a [KeyStore] answers.
var (
	ErrKeyExists  = errors.New("there is a key with this id")
	ErrKeyUnknown = errors.New("no such key")
)

// Key is a signing key as it is kept. Whoever can read Private can sign tokens.
type Key struct {
	ID        string // the thumbprint of RFC 7638
	Private   []byte // PKCS #8, DER
	CreatedAt time.Time
}

// KeyStore keeps signing keys where all processes of a registry see them. It is
// safe for concurrent use.
type KeyStore interface {
	// Keys lists all keys, the oldest first and those of the same age by id.
	Keys(ctx context.Context) ([]Key, error)

	// AddKey keeps a key. Errors: ErrKeyExists.
	AddKey(ctx context.Context, k Key) error

	// DeleteKey forgets a key. Errors: ErrKeyUnknown.
	DeleteKey(ctx context.Context, id string) error
}

// signingKey is a key ready for use.
type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
	created time.Time
}

// newKey makes a key.
func newKey(now time.Time) (Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, err
	}
	jwk, err := publicJWK(&private.PublicKey)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: jwk.KeyID, Private: der, CreatedAt: now.UTC().Truncate(time.Second)}, nil
}

// parseKey reads a key that was kept.
func parseKey(k Key) (*signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("signing key %s is not one of the curve P-256", k.ID)
	}
	return &signingKey{k.ID, private, k.CreatedAt}, nil
}

// jwk is a public key in the form of RFC 7517.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

func publicJWK(public *ecdsa.PublicKey) (jwk, error) {
	point, err := public.Bytes() // 4, x, y
	if err != nil {
		return jwk{}, err
	}
	half := (len(point) - 1) / 2
	k := jwk{KeyType: "EC", Curve: "P-256", Use: "sig", Algorithm: "ES256"}
	k.X = base64.RawURLEncoding.EncodeToString(point[1 : 1+half])
	k.Y = base64.RawURLEncoding.EncodeToString(point[1+half:])
	// RFC 7638, section 3: the required members by name, without white space.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Curve, k.KeyType, k.X, k.Y))
	k.KeyID = base64.RawURLEncoding.EncodeToString(sum[:])
	return k, nil
}
