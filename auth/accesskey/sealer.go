package accesskey

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// What opening a sealed value answers.
var (
	ErrSecretUnknown = errors.New("it was sealed with a secret that is not configured")
	ErrDamaged       = errors.New("it is damaged, or was sealed for something else")
)

const (
	minSecret  = 32 // bytes
	maxSecret  = 4 << 10
	sealFormat = 1 // the first byte of a sealed value
	sealIDSize = 8 // bytes that tell configured secrets apart
)

// Sealer seals secrets with the registry's configured secret, so that what lies in the
// database or in the hands of clients opens nothing by itself. It is AES-256-GCM with
// random nonces, good for 2³² values a secret: a new session every second for a hundred
// years.
//
// There may be several configured secrets: the first seals, and all open. To change it,
// put the new one first on all servers, call [Manager.Reseal], and remove the old one
// when the sessions have ended that were given out before.
type Sealer struct {
	secrets []configured
}

// configured is what is made of one configured secret.
type configured struct {
	id   [sealIDSize]byte
	aead cipher.AEAD
}

// NewSealer returns a sealer with configured secrets, each of at least 32 random bytes.
func NewSealer(secrets ...[]byte) (*Sealer, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret is configured to seal with")
	}
	s := &Sealer{}
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return nil, fmt.Errorf("a secret to seal with must have at least %d random bytes, not %d", minSecret, len(secret))
		}
		c, err := derive(secret)
		if err != nil {
			return nil, err
		}
		s.secrets = append(s.secrets, c)
	}
	return s, nil
}

func derive(secret []byte) (configured, error) {
	var c configured
	id, err := hkdf.Key(sha256.New, secret, nil, "berth: id of a secret that seals", sealIDSize)
	if err != nil {
		return c, err
	}
	copy(c.id[:], id)
	key, err := hkdf.Key(sha256.New, secret, nil, "berth: AES-256-GCM", 32)
	if err != nil {
		return c, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return c, err
	}
	c.aead, err = cipher.NewGCMWithRandomNonce(block)
	return c, err
}

// LoadSecret reads a configured secret from a file: text, as `openssl rand -base64 48`
// makes it, whose last line end does not count. A file that others can read, or that
// its group can write, is refused; reading is what the group of a service is for.
func LoadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what is open and not of what lies there by now
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case mode.Perm()&0o027 != 0:
		return nil, fmt.Errorf("%s holds a secret and has the mode %#o; take it from others, as with chmod 600", path, mode.Perm())
	case info.Size() > maxSecret:
		return nil, fmt.Errorf("%s has %d bytes; a secret has at most %d", path, info.Size(), maxSecret)
	}
	secret, err := io.ReadAll(io.LimitReader(f, maxSecret))
	return bytes.TrimRight(secret, "\r\n"), err
}

// seal seals plain for the key that bound names, and for no other.
func (s *Sealer) seal(plain []byte, bound string) []byte {
	first := s.secrets[0]
	sealed := append([]byte{sealFormat}, first.id[:]...)
	return first.aead.Seal(sealed, nil, plain, []byte(bound))
}

// open returns what was sealed. Errors: ErrSecretUnknown, ErrDamaged.
func (s *Sealer) open(sealed []byte, bound string) ([]byte, error) {
	id, ok := sealID(sealed)
	if !ok {
		return nil, ErrDamaged
	}
	for _, c := range s.secrets {
		if c.id != id {
			continue
		}
		plain, err := c.aead.Open(nil, nil, sealed[1+sealIDSize:], []byte(bound))
		if err != nil {
			return nil, ErrDamaged
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: it has the id %x", ErrSecretUnknown, id)
}

// isCurrent reports whether a value was sealed with the first secret.
func (s *Sealer) isCurrent(sealed []byte) bool {
	id, ok := sealID(sealed)
	return ok && id == s.secrets[0].id
}

// sealID tells which secret a value was sealed with.
func sealID(sealed []byte) (id [sealIDSize]byte, ok bool) {
	if len(sealed) < 1+sealIDSize || sealed[0] != sealFormat {
		return id, false
	}
	copy(id[:], sealed[1:])
	return id, true
}
