package registry

import "strings"

// MaxNameLength is the longest repository name, in bytes. Docker allows 255 for
// host and name together; ECR allows 256 for the name alone.
const MaxNameLength = 256

// Name is the name of a repository, such as "team/app". Names that come from
// outside are made by [ParseName].
type Name string

// ParseName checks s against the grammar of the specification:
// components of lower-case letters and digits, joined by one of . _ __ or any
// number of -, separated by slashes. It answers ErrNameInvalid.
func ParseName(s string) (Name, error) {
	if s == "" {
		return "", ErrNameInvalid.With("the repository name is empty")
	}
	if len(s) > MaxNameLength {
		return "", ErrNameInvalid.With("the repository name has %d characters; at most %d are allowed", len(s), MaxNameLength)
	}
	for component := range strings.SplitSeq(s, "/") {
		if !validComponent(component) {
			return "", ErrNameInvalid.With("repository name %q: the part %q must be lower-case letters and digits, "+
				"joined by a single '.', '_' or '__', or by dashes", s, component)
		}
	}
	return Name(s), nil
}

// validComponent reports whether s is [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*.
func validComponent(s string) bool {
	for {
		word := len(s) - len(strings.TrimLeft(s, LowerAlphanumeric))
		if word == 0 {
			return false
		}
		if s = s[word:]; s == "" {
			return true
		}
		rest := strings.TrimLeft(s, "._-")
		if !validSeparator(s[:len(s)-len(rest)]) {
			return false
		}
		s = rest
	}
}

// LowerAlphanumeric is what names are made of, besides what joins them.
const LowerAlphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789"

func validSeparator(s string) bool {
	switch s {
	case ".", "_", "__":
		return true
	}
	return s != "" && strings.Trim(s, "-") == ""
}
