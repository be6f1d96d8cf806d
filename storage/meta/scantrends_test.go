package meta_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

func TestTrends(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		update := func() {
			t.Helper()
			trends := scan.Trends{Store: db, Clock: func() time.Time { return day.Add(13 * time.Hour) }}
			if err := trends.Update(ctx); err != nil {
				t.Fatal(err)
			}
		}
		want := func(when string, rows ...scan.Trend) {
			t.Helper()
			got, err := db.Trend(ctx, "a", day)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rows, got); diff != "" {
				t.Errorf("%s:\n%s", when, diff)
			}
		}
		row := func(day time.Time, open, added, fixed scan.Counts) scan.Trend {
			return scan.Trend{Day: day, TrendCounts: scan.TrendCounts{Open: open, New: added, Fixed: fixed}}
		}
		none := scan.Counts{}

		// An image by its tag, and one that an index with a tag lists. One without a tag does not count.
		one, two, untagged := registrytest.Recipe{Seed: 1}.Image(), registrytest.Recipe{Seed: 2}.Image(), registrytest.Recipe{Seed: 3}.Image()
		push(t, e, "a", one, "v1", "latest")
		push(t, e, "a", registrytest.Recipe{}.Index(two), "v2")
		push(t, e, "a", untagged)
		push(t, e, "unscanned", one, "v1")
		update()
		want("before a scan")
		for _, err := range []error{
			scantest.Find(ctx, db, "a", one.Digest, finding("CVE-1", scan.High, "", time.Time{}), finding("CVE-2", scan.Low, "", time.Time{})),
			scantest.Find(ctx, db, "a", two.Digest, finding("CVE-1", scan.High, "", time.Time{}), finding("CVE-3", scan.Critical, "", time.Time{})),
			scantest.Find(ctx, db, "a", untagged.Digest, finding("CVE-4", scan.Critical, "", time.Time{})),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		update()
		first := scan.Counts{scan.Critical: 1, scan.High: 1, scan.Low: 1}
		monday := row(day, first, first, none)
		want("on the first day", monday)
		update()
		want("when nothing has changed", monday)

		day = day.AddDate(0, 0, 1)
		update()
		want("on a day on which nothing has changed", monday)
		if err := scantest.Find(ctx, db, "a", one.Digest, finding("CVE-5", scan.Medium, "", time.Time{})); err != nil {
			t.Fatal(err)
		}
		update()
		want("scanned again", monday, row(day, scan.Counts{scan.Critical: 1, scan.High: 1, scan.Medium: 1}, scan.Counts{scan.Medium: 1}, scan.Counts{scan.Low: 1}))
		if err := e.DeleteTag(ctx, "a", "v2"); err != nil {
			t.Fatal(err)
		}
		update()
		want("later that day", monday, row(day, scan.Counts{scan.Medium: 1}, scan.Counts{scan.Medium: 1}, scan.Counts{scan.Critical: 1, scan.High: 1, scan.Low: 1}))

		if err := e.DeleteRepository(ctx, "a", true); err != nil {
			t.Fatal(err)
		}
		push(t, e, "a", one, "v1")
		want("made anew")
	})
}

// TestTrendOfManyTags looks only at the images that were tagged last.
func TestTrendOfManyTags(t *testing.T) {
	db, ctx := open(t), t.Context()
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
	for i := range scan.TrendImages + 1 {
		image := registrytest.Recipe{Seed: uint64(i)}.Image()
		push(t, e, "a", image, registry.Tag(string(rune('z'-i))))
		if i > 1 {
			continue
		}
		id := []string{"CVE-0", "CVE-1"}[i]
		if err := scantest.Find(ctx, db, "a", image.Digest, finding(id, scan.High, "", time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	if err := updateTrend(ctx, db, "a"); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Trend(ctx, "a", time.Now())
	if err != nil || len(rows) != 1 || rows[0].Open.Total() != 1 {
		t.Errorf("%+v, %v; want only the finding of the second image", rows, err)
	}
}
