package scan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/scan"
)

func TestVulnerabilitySet(t *testing.T) {
	weak := func(findings ...scan.Finding) scan.VulnerabilitySet {
		w := scan.VulnerabilitySet{}
		for _, f := range findings { // each in an image of its own
			if err := w.Add(zipped([]scan.Finding{f})); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := w.Keep()
		if err != nil {
			t.Fatal(err)
		}
		again, err := scan.ReadVulnerabilitySet(kept)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	before := weak(found("CVE-1", scan.High, "", 0), found("CVE-2", scan.Low, "", 0))
	now := weak(found("CVE-1", scan.Medium, "", 0), found("CVE-1", scan.High, "", 0), found("CVE-1", scan.Low, "", 0), found("CVE-3", scan.Critical, "", 0))
	want := scan.TrendCounts{Open: scan.Counts{scan.High: 1, scan.Critical: 1}, New: scan.Counts{scan.Critical: 1}, Fixed: scan.Counts{scan.Low: 1}}
	if diff := cmp.Diff(want, now.Since(before)); diff != "" {
		t.Error(diff)
	}
}

func TestFillTrend(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	row := func(n, open, added, fixed int) scan.Trend {
		c := func(n int) scan.Counts {
			if n == 0 {
				return scan.Counts{}
			}
			return scan.Counts{scan.High: n}
		}
		return scan.Trend{Day: day(n), TrendCounts: scan.TrendCounts{Open: c(open), New: c(added), Fixed: c(fixed)}}
	}
	rows := []scan.Trend{row(2, 3, 3, 0), row(4, 2, 0, 1)}
	for _, test := range []struct {
		name        string
		first, last int
		want        []scan.Trend
	}{
		{"from before the first", 1, 5, []scan.Trend{row(2, 3, 3, 0), row(3, 3, 0, 0), row(4, 2, 0, 1), row(5, 2, 0, 0)}},
		{"from a day between", 3, 4, []scan.Trend{row(3, 3, 0, 0), row(4, 2, 0, 1)}},
		{"after the last", 6, 6, []scan.Trend{row(6, 2, 0, 0)}},
		{"before the first", 1, 1, nil},
	} {
		if diff := cmp.Diff(test.want, scan.FillTrend(rows, day(test.first), day(test.last))); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
