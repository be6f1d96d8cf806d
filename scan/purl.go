package scan

import (
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/package-url/packageurl-go"

	"berth/registry"
)

// maxPURL is the longest package URL that is looked at, in bytes.
const maxPURL = 4096

// parsePURL reads a package URL. ok is false if it is none.
// https://github.com/package-url/purl-spec
func parsePURL(s string) (p packageurl.PackageURL, ok bool) {
	if len(s) > maxPURL || !strings.HasPrefix(s, "pkg:") {
		return p, false
	}
	p, err := packageurl.FromString(s)
	return p, err == nil
}

// purlCovers reports whether a package is what a statement names. A statement that has no
// version is about all of them, and qualifiers that it does not have do not count.
func purlCovers(statement, pkg packageurl.PackageURL) bool {
	if statement.Type != pkg.Type || statement.Namespace != pkg.Namespace || statement.Name != pkg.Name {
		return false
	}
	if statement.Version != "" && statement.Version != pkg.Version {
		return false
	}
	if statement.Subpath != "" && statement.Subpath != pkg.Subpath {
		return false
	}
	if len(statement.Qualifiers) == 0 {
		return true
	}
	has := pkg.Qualifiers.Map()
	for _, q := range statement.Qualifiers {
		if has[q.Key] != q.Value {
			return false
		}
	}
	return true
}

// imageNames is how VEX documents may name an image.
type imageNames struct {
	repository registry.Name
	digests    []digest.Digest // its own, and those of the indexes that list it
}

// called reports whether s names the image. Package URLs of type oci do so by their version,
// which is a digest. Without one they do by their name, which is the last part of the
// repository's, and by repository_url if that is there, but for the host, under which others
// know this registry; tags and platforms in them are not looked at, since the document refers
// to the image by digest.
// https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md
func (n imageNames) called(s string) bool {
	p, ok := parsePURL(s)
	if !ok {
		return n.hasDigest(s)
	}
	if p.Type != packageurl.TypeOCI {
		return false
	}
	if p.Version != "" {
		return n.hasDigest(p.Version)
	}
	repo := string(n.repository)
	if !strings.EqualFold(p.Name, repo[strings.LastIndexByte(repo, '/')+1:]) {
		return false
	}
	url := p.Qualifiers.Map()["repository_url"]
	_, path, _ := strings.Cut(url, "/")
	return url == "" || path == repo
}

// hasDigest reports whether s is, or ends with, a digest of the image.
func (n imageNames) hasDigest(s string) bool {
	s = strings.ToLower(s[strings.LastIndexByte(s, '@')+1:])
	for _, d := range n.digests {
		if s == string(d) {
			return true
		}
	}
	return false
}
