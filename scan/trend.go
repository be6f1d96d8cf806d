package scan

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// TrendImages is how many images of a repository its trend looks at: those that were tagged
// last, an index with all that it lists being one.
const TrendImages = 20

// Trend is how many vulnerabilities a repository had at the end of a day, or has by now. The
// same vulnerability of the same package counts once, however many images have it; exceptions
// and VEX documents are left aside.
type Trend struct {
	Day time.Time `json:"day"` // its beginning, UTC
	TrendCounts
}

// TrendCounts are the numbers of a [Trend].
type TrendCounts struct {
	Open  Counts `json:"open"`
	New   Counts `json:"new"`   // that were not there at the end of the day before
	Fixed Counts `json:"fixed"` // that were, and are not there any more
}

// VulnerabilitySet has the vulnerabilities of several images: how bad each is, by its ID and the
// type and name of its package.
type VulnerabilitySet map[string]Severity

// Add adds the findings of an image, as [Store] keeps them. Of a vulnerability with several
// severities the worst counts.
func (w VulnerabilitySet) Add(kept []byte) error {
	findings, err := readFindings(kept)
	if err != nil {
		return err
	}
	for _, f := range findings {
		key := strings.Join([]string{f.ID, f.Package.Type, f.Package.Name}, "\x00")
		if was, there := w[key]; !there || f.Severity.AtLeast(was) {
			w[key] = f.Severity
		}
	}
	return nil
}

// Since counts what is in w, and what is new or fixed compared with before.
func (w VulnerabilitySet) Since(before VulnerabilitySet) TrendCounts {
	c := TrendCounts{Open: Counts{}, New: Counts{}, Fixed: Counts{}}
	for key, severity := range w {
		c.Open[severity]++
		if _, was := before[key]; !was {
			c.New[severity]++
		}
	}
	for key, severity := range before {
		if _, is := w[key]; !is {
			c.Fixed[severity]++
		}
	}
	return c
}

// Keep packs w for a [TrendStore]; [ReadVulnerabilitySet] unpacks it.
func (w VulnerabilitySet) Keep() ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return compress(b)
}

// ReadVulnerabilitySet reads what Keep has made.
func ReadVulnerabilitySet(kept []byte) (VulnerabilitySet, error) {
	b, err := expand(kept, 2*MaxFindings)
	if err != nil {
		return nil, err
	}
	w := VulnerabilitySet{}
	err = json.Unmarshal(b, &w)
	return w, err
}

// FillTrend has a row for each day from first to last, given the rows of some days in their
// order: a day without one is like the day before, and nothing is new or fixed then. Days
// before the first row are left out. first may be before the rows that are shown.
func FillTrend(rows []Trend, first, last time.Time) []Trend {
	const day = 24 * time.Hour
	var all []Trend
	var open Counts // nil before the first row
	i := 0
	for ; i < len(rows) && rows[i].Day.Before(first); i++ {
		open = rows[i].Open
	}
	for d := first; !d.After(last); d = d.Add(day) {
		switch {
		case i < len(rows) && rows[i].Day.Equal(d):
			open = rows[i].Open
			all = append(all, rows[i])
			i++
		case open != nil:
			all = append(all, Trend{d, TrendCounts{Open: maps.Clone(open), New: Counts{}, Fixed: Counts{}}})
		}
	}
	return slices.Clip(all)
}
