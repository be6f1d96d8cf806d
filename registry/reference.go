package registry

import (
	_ "crypto/sha256" // makes digest.SHA256 available
	_ "crypto/sha512" // makes digest.SHA512 available
	"strings"

	"github.com/opencontainers/go-digest"
)

// MaxTagLength is the longest tag, in bytes.
const MaxTagLength = 128

// Tag is a name for a manifest in its repository, such as "v1.4.2". Tags that come
// from outside are made by [ParseTag].
type Tag string

// ParseTag checks s against [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}. It answers
// ErrTagInvalid.
func ParseTag(s string) (Tag, error) {
	if s == "" || len(s) > MaxTagLength {
		return "", ErrTagInvalid.With("a tag has 1 to %d characters, not %d", MaxTagLength, len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case (c == '.' || c == '-') && i > 0:
		default:
			return "", ErrTagInvalid.With("tag %q: only letters, digits, '_', '.' and '-' are allowed, "+
				"and neither '.' nor '-' at the start", s)
		}
	}
	return Tag(s), nil
}

// ParseDigest checks that s is a digest of an algorithm berth stores: sha256 or
// sha512. It answers ErrDigestInvalid.
func ParseDigest(s string) (digest.Digest, error) {
	algorithm, _, found := strings.Cut(s, ":")
	if !found {
		return "", ErrDigestInvalid.With("%q is not a digest; it should look like sha256:<64 hexadecimal digits>", Clip(s))
	}
	if _, err := ParseAlgorithm(algorithm); err != nil {
		return "", err
	}
	d := digest.Digest(s)
	if err := d.Validate(); err != nil {
		return "", ErrDigestInvalid.With("%q is not a digest of %s", Clip(s), algorithm)
	}
	return d, nil
}

// ParseAlgorithm checks that s names a digest algorithm berth stores: sha256 or
// sha512. It answers ErrDigestInvalid.
func ParseAlgorithm(s string) (digest.Algorithm, error) {
	switch a := digest.Algorithm(s); a {
	case digest.SHA256, digest.SHA512:
		return a, nil
	}
	return "", ErrDigestInvalid.With("the digest algorithm %q is not supported; use sha256 or sha512", Clip(s))
}

// Reference names a manifest in a repository: by tag or by digest, one of which is
// set.
type Reference struct {
	Tag    Tag
	Digest digest.Digest
}

// ParseReference reads s as a digest if it has a colon, which no tag has, and as a
// tag otherwise. It answers ErrDigestInvalid or ErrTagInvalid.
func ParseReference(s string) (Reference, error) {
	if strings.Contains(s, ":") {
		d, err := ParseDigest(s)
		return Reference{Digest: d}, err
	}
	t, err := ParseTag(s)
	return Reference{Tag: t}, err
}

// String is what [ParseReference] reads.
func (r Reference) String() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return string(r.Tag)
}
