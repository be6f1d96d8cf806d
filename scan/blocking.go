package scan

import (
	"cmp"
	"slices"
	"time"
)

// Blocking is what gates go by: the findings of an image, summed up by severity and by
// whether there is a fix. The worst come first, and of a severity those with a fix.
type Blocking []BlockingGroup

// BlockingGroup are the findings of one severity that have a fix, or those that have none.
type BlockingGroup struct {
	Severity     Severity  `json:"severity"`
	Fixable      bool      `json:"fixable"`
	Number       int       `json:"number"`                // at least 1
	FirstFoundAt time.Time `json:"firstFoundAt,omitzero"` // of the one that was found first
}

// SumUp sums findings up. It looks at nothing but its argument.
func SumUp(findings []Finding) Blocking {
	type key struct {
		severity Severity
		fixable  bool
	}
	at := map[key]int{}
	b := Blocking{}
	for _, f := range findings {
		k := key{f.Severity, f.Fixable()}
		i, there := at[k]
		if !there {
			i, at[k] = len(b), len(b)
			b = append(b, BlockingGroup{Severity: k.severity, Fixable: k.fixable, FirstFoundAt: f.FirstFoundAt})
		}
		b[i].Number++
		if f.FirstFoundAt.Before(b[i].FirstFoundAt) {
			b[i].FirstFoundAt = f.FirstFoundAt
		}
	}
	slices.SortFunc(b, func(x, y BlockingGroup) int {
		return cmp.Or(x.Severity.Compare(y.Severity), compareBool(y.Fixable, x.Fixable))
	})
	return b
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}
