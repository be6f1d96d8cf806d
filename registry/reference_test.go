package registry

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// The expressions that the functions do without.
var (
	tagGrammar    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestGrammar = regexp.MustCompile(`^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$`)
)

var tags = []string{
	"latest", "v1.4.2", "_", "A", "0", "a-", "a.", "a..b", "_._-", strings.Repeat("a", 128),
	"", ".a", "-a", "a/b", "a:b", "a b", "a\n", "a\x00", "ä", "a%2fb", "a+b", "a@b", strings.Repeat("a", 129),
}

var references = []string{
	"sha256:" + strings.Repeat("0a", 32), "sha512:" + strings.Repeat("0a", 64),
	"sha256:" + strings.Repeat("0A", 32), "sha256:" + strings.Repeat("0a", 31), "sha256:" + strings.Repeat("0a", 33),
	"sha512:" + strings.Repeat("0a", 32), "sha256:" + strings.Repeat("0g", 32), "SHA256:" + strings.Repeat("0a", 32),
	"sha384:" + strings.Repeat("0a", 48), "md5:" + strings.Repeat("0a", 16), "sha256+b64:" + strings.Repeat("0a", 32),
	"sha256", "sha256:", ":", ":" + strings.Repeat("0a", 32), "sha256:sha256:" + strings.Repeat("0a", 32),
	"sha256:" + strings.Repeat("0a", 32) + "\n", " sha256:" + strings.Repeat("0a", 32), "sha256:../../../etc/passwd",
	"sha256:" + strings.Repeat("0a", 1_000_000),
}

func TestParseReference(t *testing.T) {
	for _, s := range append(tags, references...) {
		checkReference(t, s)
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range append(tags, references...) {
		f.Add(s)
	}
	f.Fuzz(checkReference)
}

// checkReference also checks what references are made of: tags and digests.
func checkReference(t *testing.T, s string) {
	tag, err := ParseTag(s)
	check(t, "ParseTag", s, string(tag), err, tagGrammar.MatchString(s), ErrTagInvalid)
	d, err := ParseDigest(s)
	check(t, "ParseDigest", s, string(d), err, digestGrammar.MatchString(s), ErrDigestInvalid)

	ref, err := ParseReference(s)
	kind := ErrTagInvalid
	if strings.Contains(s, ":") {
		kind = ErrDigestInvalid
	}
	check(t, "ParseReference", s, ref.String(), err, tagGrammar.MatchString(s) || digestGrammar.MatchString(s), kind)
	if err == nil && (ref.Tag == "") == (ref.Digest == "") {
		t.Errorf("ParseReference(%q) = %+v, want a tag or a digest", s, ref)
	}
}

// check holds what a function made of s against what it should.
func check(t *testing.T, function, s, got string, err error, valid bool, kind *Error) {
	t.Helper()
	switch {
	case valid && (err != nil || got != s):
		t.Errorf("%s(%.100q) = %q, %v", function, s, got, err)
	case !valid && !errors.Is(err, kind):
		t.Errorf("%s(%.100q): %v, want %s", function, s, err, kind.Code)
	case !valid && len(err.Error()) > 1000:
		t.Errorf("%s(%.100q): a message of %d bytes", function, s, len(err.Error()))
	}
}

func TestParseAlgorithm(t *testing.T) {
	for s, valid := range map[string]bool{"sha256": true, "sha512": true, "": false, "sha384": false, "SHA256": false, "md5": false, "sha256:": false} {
		got, err := ParseAlgorithm(s)
		check(t, "ParseAlgorithm", s, string(got), err, valid, ErrDigestInvalid)
	}
}
