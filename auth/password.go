package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"berth/registry"
)

// The cost of a password: OWASP's first choice for argon2id, some 30 ms and 19 MiB.
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32 // bytes
	argonSalt    = 16 // bytes
)

// Bounds of what a stored hash may ask for, so that a damaged row cannot take the
// process with it.
const (
	maxArgonMemory = 256 << 10
	maxArgonTime   = 16
)

// Lengths of passwords, in bytes. NIST SP 800-63B asks for 8 at least; the upper
// bound keeps a request from being all password.
const (
	MinPassword = 8
	MaxPassword = 256
)

// At most maxHashing passwords are hashed at once, and maxWaiting wait for that: a
// storm of logins takes 38 MiB and a queue of two seconds, not the machine.
const (
	maxHashing = 2
	maxWaiting = 128
)

var (
	hashing = make(chan struct{}, maxHashing)
	waiting atomic.Int32
)

// secretPrefix makes robots' secrets easy to find for scanners of leaked ones.
const secretPrefix = "berth_"

// HashPassword returns what an account keeps of a password: argon2id in the form of
// the PHC. Errors: ErrPasswordInvalid.
func HashPassword(ctx context.Context, password string) (string, error) {
	switch {
	case len(password) < MinPassword || len(password) > MaxPassword:
		return "", fmt.Errorf("%w: it must have %d to %d bytes, not %d", ErrPasswordInvalid, MinPassword, MaxPassword, len(password))
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return "", fmt.Errorf("%w: it must be UTF-8 without control characters such as line ends", ErrPasswordInvalid)
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key, err := argon(ctx, password, salt, argonTime, argonMemory, argonThreads, argonKey)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// NewSecret makes a robot's secret and what its account keeps of it. A secret of
// 256 random bits cannot be guessed, so a fast hash is enough.
func NewSecret() (secret, hash string) {
	b := make([]byte, 32)
	rand.Read(b)
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(b)
	return secret, hashSecret(secret)
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "$sha256$" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// isSecret reports whether hash is of a secret and not of a password.
func isSecret(hash string) bool { return strings.HasPrefix(hash, "$sha256$") }

// checkSecret reports whether secret is what hash was made of.
func checkSecret(hash, secret string) bool {
	return isSecret(hash) && subtle.ConstantTimeCompare([]byte(hash), []byte(hashSecret(secret))) == 1
}

// checkPassword reports whether password is what hash was made of. A hash that
// cannot be read costs as much time and is nobody's. Errors: ErrTooManyRequests.
func checkPassword(ctx context.Context, hash, password string) (bool, error) {
	h, ok := parseArgon(hash)
	if !ok {
		h = dummy
	}
	key, err := argon(ctx, password, h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return ok && err == nil && subtle.ConstantTimeCompare(key, h.key) == 1, err
}

type argonHash struct {
	time, memory uint32
	threads      uint8
	salt, key    []byte
}

// dummy is checked where there is no account, which then takes as long.
var dummy = argonHash{argonTime, argonMemory, argonThreads, make([]byte, argonSalt), make([]byte, argonKey)}

func parseArgon(s string) (h argonHash, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, false
	}
	var errSalt, errKey error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	return h, errSalt == nil && errKey == nil && len(h.key) >= 16 && len(h.salt) >= 8 &&
		0 < h.memory && h.memory <= maxArgonMemory && 0 < h.time && h.time <= maxArgonTime && h.threads > 0
}

// argon hashes when it is its turn.
func argon(ctx context.Context, password string, salt []byte, time, memory uint32, threads uint8, size uint32) ([]byte, error) {
	if waiting.Add(1) > maxWaiting {
		waiting.Add(-1)
		return nil, &ThrottledError{RetryAfter: busyRetry, err: registry.ErrTooManyRequests.With("too many logins at once; try again shortly")}
	}
	select {
	case hashing <- struct{}{}:
		waiting.Add(-1)
	case <-ctx.Done():
		waiting.Add(-1)
		return nil, ctx.Err()
	}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, size), nil
}
