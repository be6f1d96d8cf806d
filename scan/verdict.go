package scan

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Verdict is what a gate says about an image.
type Verdict struct {
	Repository registry.Name `json:"repository"`
	Digest     digest.Digest `json:"digest"`
	Gate       *Gate         `json:"gate,omitempty"` // nil if none is for the repository
	Passes     bool          `json:"passes"`         // whether it meets the rule, whatever the gate's mode is

	// Reason is why no finding decides: the image passes whatever is found in it, or, as it is
	// Unscanned, nobody knows what that is.
	Unscanned bool   `json:"unscanned,omitempty"`
	Reason    string `json:"reason,omitempty"`

	// Findings are the worst of those that keep the image from passing, and Total is how
	// many there are. Excepted is how many exceptions and VEX documents have taken out.
	Findings []GateFinding `json:"findings,omitempty"`
	Total    int           `json:"total,omitempty"`
	Excepted int           `json:"excepted,omitempty"`

	until time.Time // when time alone may change it; zero is never
}

// GateFinding is a finding as a gate tells of it.
type GateFinding struct {
	ID           string    `json:"id"`
	Severity     Severity  `json:"severity"`
	Package      string    `json:"package"`
	Installed    string    `json:"installed"`
	Fixed        string    `json:"fixed,omitempty"`
	FirstFoundAt time.Time `json:"firstFoundAt,omitzero"`
}

const (
	toldToPrograms = 50 // findings in a verdict
	toldToPeople   = 5  // and in a sentence
)

// Blocked reports whether the image is not to be pulled.
func (v Verdict) Blocked() bool { return !v.Passes && v.Gate.Mode == Block }

// Summary is why the image does not pass, or does, in a few words.
func (v Verdict) Summary() string {
	if v.Reason != "" {
		return v.Reason
	}
	if v.Passes {
		return "no finding keeps it from passing"
	}
	ids := make([]string, 0, toldToPeople)
	for _, f := range v.Findings[:min(len(v.Findings), toldToPeople)] {
		ids = append(ids, f.ID)
	}
	s := strings.Join(ids, ", ")
	if more := v.Total - len(ids); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// stop has the image not pass because of findings in the order of [Sort], if there are any.
func (v *Verdict) stop(findings []Finding) {
	v.Total = len(findings)
	v.Passes = v.Total == 0
	for _, f := range findings[:min(len(findings), toldToPrograms)] {
		v.Findings = append(v.Findings, GateFinding{
			ID: visible(f.ID), Severity: f.Severity, Package: visible(f.Package.Name),
			Installed: visible(f.Installed), Fixed: visible(f.Fixed), FirstFoundAt: f.FirstFoundAt,
		})
	}
}

// refusal is what who pulls a blocked image is told. Errors: ErrDenied.
func (v Verdict) refusal() error {
	return registry.ErrDenied.With("%s", v.message("must not be pulled")).WithDetail(map[string]any{
		"gate": v.Gate.Repository, "severity": v.Gate.Severity, "unscanned": v.Unscanned, "total": v.Total, "findings": v.Findings,
	})
}

// warning is what who pulls an image is told that the gate only warns of.
func (v Verdict) warning() string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII { // headers have nothing else
			return '?'
		}
		return r
	}, v.message("should not be pulled"))
}

// message says why an image must or should not be pulled, and who can change that.
func (v Verdict) message(what string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s@%s %s: ", v.Repository, v.Digest, what)
	if v.Unscanned {
		fmt.Fprintf(&s, "%s, and the gate of %s lets only images pass that are; wait for the scan, or have an operator start one with: berth scan run %s@%s",
			v.Reason, v.Gate.Repository, v.Repository, v.Digest)
		return s.String()
	}
	for i, f := range v.Findings[:min(len(v.Findings), toldToPeople)] {
		if i > 0 {
			s.WriteString("; ")
		}
		fmt.Fprintf(&s, "%s (%s) in %s %s, ", f.ID, f.Severity, f.Package, f.Installed)
		if f.Fixed != "" {
			fmt.Fprintf(&s, "fixed in %s", f.Fixed)
		} else {
			s.WriteString("without a fix")
		}
	}
	if more := v.Total - toldToPeople; more > 0 {
		fmt.Fprintf(&s, "; and %d more", more)
	}
	fmt.Fprintf(&s, ". The gate of %s %s; push an image without them, or ask an operator for: berth scan exception add %s --repository %s --reason TEXT",
		v.Gate.Repository, v.Gate, v.Findings[0].ID, v.Repository)
	return s.String()
}

// visible is text from an image as it can be shown anywhere: short, and without characters
// that do something to a terminal or hide.
func visible(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}
