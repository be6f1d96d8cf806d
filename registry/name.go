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
	separator := 0 // start of the separator being read, -1 while in letters
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			if sep := s[separator:i]; separator >= 0 && i > 0 && !validSeparator(sep) {
				return false
			}
			separator = -1
			continue
		}
		if i == 0 || c != '.' && c != '_' && c != '-' {
			return false
		}
		if separator < 0 {
			separator = i
		}
	}
	return separator < 0
}

func validSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}
