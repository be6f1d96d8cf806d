package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"berth/registry"
)

// MaxAccountName is the longest name of an account, in bytes; IAM's users have the
// same limit.
const MaxAccountName = 64

// Account is a principal that is kept: who it is and how it proves that.
type Account struct {
	Name         string
	Kind         Kind      // User, Robot or Role; never changes
	PasswordHash string    // made by [HashPassword] or [NewSecret]; of a role no password has it
	Disabled     bool      // switched off by an administrator
	ExpiresAt    time.Time // when a robot stops working; zero means never
	CreatedAt    time.Time
	Tags         map[string]string // that policies may ask about, as aws:PrincipalTag/NAME
	Trust        string            // of a role: who may take it on, JSON that [ParseTrust] accepts
}

// Fingerprint tells one credential of an account from the next without being of
// use to anyone who reads it. Tokens carry it, so that they end with a new
// password, a new secret, or an account that was deleted and made again.
func (a Account) Fingerprint() string {
	sum := sha256.Sum256([]byte("berth credential\n" + a.Name + "\n" + a.PasswordHash))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Usable reports whether the account can be used at now: it is not disabled and has not
// expired.
func (a Account) Usable(now time.Time) bool { return a.unusable(now) == "" }

// checkTags keeps to the limits of IAM. It answers ErrAccountInvalid.
func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return fmt.Errorf("%w: it would have %d tags; at most 50 are allowed", ErrAccountInvalid, len(tags))
	}
	for k, v := range tags {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 || utf8.RuneCountInString(v) > 256 {
			return fmt.Errorf("%w: the tag %q: names have 1 to 128 characters, values at most 256", ErrAccountInvalid, registry.Clip(k))
		}
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return fmt.Errorf("%w: the tag %q: names that begin with aws: are reserved", ErrAccountInvalid, registry.Clip(k))
		}
	}
	return nil
}

// unusable says why the account cannot be used at now, or is empty.
func (a Account) unusable(now time.Time) string {
	switch {
	case a.Disabled:
		return fmt.Sprintf("%s %s is disabled", a.Kind, a.Name)
	case !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt):
		return fmt.Sprintf("%s %s expired at %s", a.Kind, a.Name, a.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// ParseAccountName checks the name of an account: lower-case letters and digits,
// and . _ @ + - between them. Upper case is left out so that no two names differ in
// case alone, and so that AWS, the user name of ECR's tokens, is nobody's.
// It answers ErrAccountNameInvalid.
func ParseAccountName(s string) (string, error) {
	return parseName(ErrAccountNameInvalid, s, MaxAccountName, "._@+-", false)
}

// ParsePolicyName checks the name of a policy: letters and digits, and . _ @ + - =
// , between them, at most 128 of them, as in IAM. It answers
// ErrPolicyNameInvalid.
func ParsePolicyName(s string) (string, error) {
	return parseName(ErrPolicyNameInvalid, s, 128, "._@+-=,", true)
}

func parseName(invalid error, s string, limit int, marks string, upper bool) (string, error) {
	if s == "" || len(s) > limit {
		return "", fmt.Errorf("%w: it has %d characters; 1 to %d are allowed", invalid, len(s), limit)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', upper && 'A' <= c && c <= 'Z':
		case strings.IndexByte(marks, c) >= 0 && 0 < i && i < len(s)-1:
		default:
			letters := "lower-case letters"
			if upper {
				letters = "letters"
			}
			return "", fmt.Errorf("%w: %q: only %s and digits are allowed, and %q between them", invalid, s, letters, marks)
		}
	}
	return s, nil
}
