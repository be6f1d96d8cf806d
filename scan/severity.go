package scan

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a vulnerability is, in the words of Amazon ECR.
type Severity string

// The severities. Undefined is that of a vulnerability for which nobody has given one.
const (
	Critical      Severity = "CRITICAL"
	High          Severity = "HIGH"
	Medium        Severity = "MEDIUM"
	Low           Severity = "LOW"
	Informational Severity = "INFORMATIONAL"
	Undefined     Severity = "UNDEFINED"
)

var severities = []Severity{Critical, High, Medium, Low, Informational, Undefined}

// Severities lists all severities, the worst first.
func Severities() []Severity { return slices.Clone(severities) }

// ParseSeverity reads a severity, in upper or lower case.
func ParseSeverity(s string) (Severity, error) {
	v := Severity(strings.ToUpper(s))
	if !slices.Contains(severities, v) {
		return "", fmt.Errorf("%q is no severity: there are CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL and UNDEFINED", s)
	}
	return v, nil
}

// rank orders severities, 0 being the worst. What is no severity comes last.
func (s Severity) rank() int {
	if i := slices.Index(severities, s); i >= 0 {
		return i
	}
	return len(severities)
}

// AtLeast reports whether s is as bad as t or worse.
func (s Severity) AtLeast(t Severity) bool { return s.rank() <= t.rank() }

// Compare orders severities, the worst first.
func (s Severity) Compare(t Severity) int { return s.rank() - t.rank() }
