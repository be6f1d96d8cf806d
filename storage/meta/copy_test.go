package meta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
	"berth/scan/vex"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// TestTablesAreComplete compares the list of what is copied with the schema, so that
// who adds a column has to think of it.
func TestTablesAreComplete(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db := open(t)
		want, err := meta.Schema(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range meta.NotCopied() {
			delete(want, name)
		}
		got := map[string][]string{}
		for _, table := range meta.Tables() {
			for _, c := range table.Columns {
				got[table.Name] = append(got[table.Name], c.Name)
			}
			slices.Sort(got[table.Name])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the schema and what is copied (-schema +copied):\n%s", diff)
		}
	})
}

// rows are all rows of a database.
func rows(t *testing.T, db *meta.DB) map[string][][]any {
	t.Helper()
	all := map[string][][]any{}
	err := db.Snapshot(t.Context(), func(s *meta.Snapshot) error {
		for _, table := range meta.Tables() {
			err := s.Rows(t.Context(), table, func(row []any) error {
				all[table.Name] = append(all[table.Name], row)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func fill(t *testing.T, db *meta.DB, all map[string][][]any) error {
	t.Helper()
	return db.Fill(t.Context(), func(insert func(meta.Table, []any) error) error {
		for _, table := range meta.Tables() {
			for _, row := range all[table.Name] {
				if err := insert(table, row); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// populate has the registry do a bit of everything and stay as it is then.
func populate(t *testing.T, db *meta.DB) {
	t.Helper()
	ctx := t.Context()
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true, MaxSmallBlob: 500})
	for i := range 30 {
		repo := registry.Name(fmt.Sprintf("team/app%d", i%3))
		image := registrytest.Recipe{Seed: uint64(i)}.Image()
		for _, b := range image.Blobs {
			if _, err := e.PutBlob(ctx, repo, b.Chunk(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.PutManifest(ctx, repo, image.Manifest, []registry.Tag{registry.Tag(fmt.Sprintf("v%d", i))}); err != nil {
			t.Fatal(err)
		}
		index := registrytest.Recipe{Seed: uint64(i)}.Index(image)
		if _, err := e.PutManifest(ctx, repo, index.Manifest, nil); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if err := e.DeleteManifest(ctx, repo, index.Digest); err != nil {
				t.Fatal(err)
			}
			if err := e.DeleteManifest(ctx, repo, image.Digest); err != nil {
				t.Fatal(err)
			}
		}
	}
	alone := registrytest.NewBlob(99, 1000)
	if _, err := e.PutBlob(ctx, "team/app0", alone.Chunk(), alone.Digest); err != nil {
		t.Fatal(err)
	}
	prune(t, db, e, func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	})
	for _, err := range []error{
		e.DeleteBlob(ctx, "team/app0", alone.Digest),
		db.CreateAccount(ctx, auth.Account{Name: "ci", Kind: auth.Robot, Disabled: true, ExpiresAt: time.Now().Add(time.Hour)}),
		db.CreateAccount(ctx, auth.Account{Name: "admin", Kind: auth.User}),
		db.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: "{}"}),
		db.Attach(ctx, "ci", "p"),
		db.AddKey(ctx, token.Key{ID: "k", Private: []byte{0, 1, 255}, CreatedAt: time.Now()}),
		db.Update(ctx, func(tx *meta.Tx) error {
			_, err := tx.AddCreationTemplate(ctx, registry.CreationTemplate{Prefix: "team", AppliedFor: []string{registry.CreateOnPush}})
			return errors.Join(err, tx.PutSetting(ctx, registry.ScanningSetting, "{}"))
		}),
		db.Update(ctx, func(tx *meta.Tx) error {
			_, err := tx.ExcludePullTime(ctx, "arn:aws:iam::000000000000:role/scanner", 100)
			return err
		}),
		db.Update(ctx, func(tx *meta.Tx) error {
			_, err := tx.PutCluster(ctx, "prod", 1)
			return errors.Join(err, tx.AddRunning(ctx, "prod", []registry.ImageRef{{Repository: "team/app1", Digest: alone.Digest}}))
		}),
		db.SetQuota(ctx, "team", 1<<30),
		scanned(ctx, db, "team/app1", registrytest.Recipe{Seed: 1}.Image().Digest),
		judged(ctx, db, e),
		db.CreateAccessKey(ctx, accesskey.Key{ID: "AKIA", Account: "ci", Sealed: []byte{1}, CreatedAt: time.Now()}, 1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// scanned has an image scanned, with a database that is new too.
func scanned(ctx context.Context, db *meta.DB, repo registry.Name, d digest.Digest) error {
	database := scan.Database{Kind: scan.Vulnerabilities, Repository: "db", Digest: digest.FromString("db"), Layer: digest.FromString("layer"), UpdatedAt: time.Now()}
	err := db.Update(ctx, func(tx *meta.Tx) error { return tx.PutVulnerabilityDatabase(ctx, database) })
	if err == nil {
		err = db.RequestScans(ctx, repo, []scan.Request{{Digest: d, Kind: scan.ImageManifest, Cause: scan.ByHand}})
	}
	if err != nil {
		return err
	}
	j, err := db.LeaseJob(ctx, []string{scan.ScanJob}, time.Minute)
	if err != nil {
		return err
	}
	return db.EndScan(ctx, j, time.Time{}, scan.Outcome{
		Status: scan.Complete, Scanner: "s", Inventory: []byte{1}, OS: "o", Packages: 1, Findings: []byte{2},
		Counts: scan.Counts{scan.High: 1}, Blocking: scan.Blocking{{Severity: scan.High, Number: 1}}, Database: database.Digest, DatabaseAt: database.UpdatedAt,
	})
}

// judged has a gate, an exception, a VEX document and a trend.
func judged(ctx context.Context, db *meta.DB, e *engine.Engine) error {
	image := registrytest.Recipe{Seed: 2}.Image().Descriptor()
	doc := document("application/openvex+json", openVEX("fixed", "pkg:oci/app2"), &image)
	for _, b := range doc.Blobs {
		if _, err := e.PutBlob(ctx, "team/app2", b.Chunk(), b.Digest); err != nil {
			return err
		}
	}
	_, err := e.PutManifest(ctx, "team/app2", doc.Manifest, nil)
	return errors.Join(err,
		vex.NewReader(db, e).Read(ctx, scan.VEXPayload{Repository: "team/app2", Digest: doc.Digest}),
		db.PutGate(ctx, scan.Gate{Repository: "*", Mode: scan.Warn, Severity: scan.Low}),
		addException(ctx, db),
		scantest.Find(ctx, db, "team/app2", image.Digest, finding("CVE-1", scan.High, "", time.Time{})),
		updateTrend(ctx, db, "team/app2"))
}

func addException(ctx context.Context, db *meta.DB) error {
	_, err := db.AddException(ctx, scan.Exception{Vulnerability: "CVE-9", Repository: "*", Reason: "none"})
	return err
}

// updateTrend brings the trend of one repository up to date.
func updateTrend(ctx context.Context, db *meta.DB, repo registry.Name) error {
	r, err := db.Repository(ctx, repo)
	if err == nil {
		_, err = db.UpdateTrends(ctx, scan.TrendDay(time.Now()), r.ID-1, 1)
	}
	return err
}

// TestCopy takes a registry from one kind of database to the other and back.
func TestCopy(t *testing.T) {
	from := open(t)
	populate(t, from)
	want := rows(t, from)
	for _, table := range meta.Tables() {
		if len(want[table.Name]) == 0 {
			t.Errorf("there is nothing in %s to copy", table.Name)
		}
	}
	for _, to := range []*meta.DB{openPostgres(t), open(t)} {
		if err := fill(t, to, want); err != nil {
			t.Fatal(err)
		}
		got := rows(t, to)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the copy differs (-original +copy):\n%s", diff)
		}
		if err := fill(t, to, want); !errors.Is(err, registry.ErrNotEmpty) {
			t.Errorf("filling it again: %v; want ErrNotEmpty", err)
		}
		want = got
		wantExact(t, to)
		// Counters go on after what was copied.
		if err := to.Update(t.Context(), ensure(t.Context(), "new")); err != nil {
			t.Error(err)
		}
	}
}

// TestSnapshotIsOneMoment writes while it reads.
func TestSnapshotIsOneMoment(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db := open(t)
		if err := db.Update(t.Context(), ensure(t.Context(), "a")); err != nil {
			t.Fatal(err)
		}
		repositories := meta.Tables()[0]
		err := db.Snapshot(t.Context(), func(s *meta.Snapshot) error {
			for range 2 {
				n := 0
				err := s.Rows(t.Context(), repositories, func([]any) error {
					n++
					return nil
				})
				if err != nil {
					return err
				}
				if n != 1 {
					t.Errorf("there are %d repositories, not the one of the beginning", n)
				}
				if err := db.Update(t.Context(), ensure(t.Context(), "b")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
