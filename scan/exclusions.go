package scan

import (
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/package-url/packageurl-go"

	"berth/registry"
)

// Exclusions are what may take findings out of those of an image.
type Exclusions struct {
	Repository registry.Name
	Digest     digest.Digest
	Indexes    []digest.Digest // those that list the image
	Exceptions []Exception
	Documents  []VEXDocument // that refer to the image or to one of Indexes
}

// Apply says which findings are left at a time, in their order, and which are out and why.
// Exceptions come before VEX documents. Of several VEX statements about the same finding the
// one that was made last counts, and so a vendor can take one back. until is when time alone
// may change the answer; zero is never. Apply looks at nothing but its arguments.
func (x Exclusions) Apply(findings []Finding, now time.Time) (left []Finding, out []Excepted, until time.Time) {
	var exceptions []Exception
	for _, e := range x.Exceptions {
		if e.IsFor(x.Repository) && e.InForce(now) {
			exceptions = append(exceptions, e)
		}
	}
	said := x.statements()
	left = make([]Finding, 0, len(findings))
	for _, f := range findings {
		e, is := find(exceptions, f)
		if is {
			if !e.Until.IsZero() && (until.IsZero() || e.Until.Before(until)) {
				until = e.Until
			}
		} else {
			e, is = said.find(f)
		}
		if is {
			out = append(out, e)
		} else {
			left = append(left, f)
		}
	}
	return left, out, until
}

// find returns what the exception that covers f for the longest makes of it.
func find(exceptions []Exception, f Finding) (Excepted, bool) {
	var best *Exception
	for i := range exceptions {
		e := &exceptions[i]
		if !e.covers(f) {
			continue
		}
		if best == nil || !best.ExpiresAt.IsZero() && (e.ExpiresAt.IsZero() || e.ExpiresAt.After(best.ExpiresAt)) {
			best = e
		}
	}
	if best == nil {
		return Excepted{}, false
	}
	return best.excepted(f), true
}

// statement is a VEX statement, ready to be compared with findings.
type statement struct {
	*VEXStatement
	document *VEXDocument
	whole    bool // it is about all packages of the image
	packages []packageurl.PackageURL
	covered  map[string]bool // by the URLs of packages, of those that were asked for
}

// statements are those about an image, by name of the vulnerability in upper case.
type statements map[string][]statement

func (x Exclusions) statements() statements {
	names := imageNames{x.Repository, append([]digest.Digest{x.Digest}, x.Indexes...)}
	all := statements{}
	for i := range x.Documents {
		d := &x.Documents[i]
		for j := range d.Statements {
			s := statement{VEXStatement: &d.Statements[j], document: d, whole: d.Statements[j].Image, covered: map[string]bool{}}
			for _, p := range s.Products {
				s.add(p, names)
			}
			if !s.whole && len(s.packages) == 0 {
				continue
			}
			for _, v := range s.Vulnerabilities {
				v = strings.ToUpper(v)
				all[v] = append(all[v], s)
			}
		}
	}
	return all
}

// IsAbout reports whether anything that a document says is about an image, which may be an index
// with others, or about packages wherever they are. If not it counts for nothing.
func (d VEXDocument) IsAbout(repo registry.Name, image digest.Digest, others ...digest.Digest) bool {
	x := Exclusions{Repository: repo, Digest: image, Indexes: others, Documents: []VEXDocument{d}}
	return len(x.statements()) > 0
}

// add adds what is said about a product: the image, packages of it, or a package by itself.
func (s *statement) add(p VEXProduct, image imageNames) {
	for _, name := range p.Names {
		if image.called(name) {
			s.whole = s.whole || len(p.Subcomponents) == 0
			s.addPackages(p.Subcomponents)
			return
		}
	}
	if len(p.Subcomponents) == 0 {
		s.addPackages(p.Names)
	}
}

// addPackages adds packages by their URLs. What has no package in it, such as an image, is
// none.
func (s *statement) addPackages(urls []string) {
	for _, u := range urls {
		if p, ok := parsePURL(u); ok && p.Type != packageurl.TypeOCI {
			s.packages = append(s.packages, p)
		}
	}
}

// covers reports whether a statement is about a package. Many findings are in the same one, so
// it is looked for once.
func (s *statement) covers(p Package) bool {
	if s.whole {
		return true
	}
	covers, known := s.covered[p.PURL]
	if !known {
		pkg, is := parsePURL(p.PURL)
		covers = is && slices.ContainsFunc(s.packages, func(named packageurl.PackageURL) bool { return purlCovers(named, pkg) })
		s.covered[p.PURL] = covers
	}
	return covers
}

// find returns what the last statement about a finding makes of it.
func (all statements) find(f Finding) (Excepted, bool) {
	if len(all) == 0 {
		return Excepted{}, false
	}
	var last *statement
	for _, name := range f.names() {
		for i := range all[name] {
			s := &all[name][i]
			// Of what is said at the same time the worse counts.
			if s.covers(f.Package) && (last == nil || s.At.After(last.At) || s.At.Equal(last.At) && !s.Status.takesOut()) {
				last = s
			}
		}
	}
	if last == nil || !last.Status.takesOut() {
		return Excepted{}, false
	}
	reason := strings.ReplaceAll(string(last.Status), "_", " ")
	if last.Reason != "" {
		reason += ": " + last.Reason
	}
	return Excepted{Finding: f, Reason: reason, By: string(last.document.Digest), Author: last.document.Author}, true
}
