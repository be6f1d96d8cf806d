package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// kept is a RuleStore that says what it is told to say, of whatever it is asked.
type kept struct {
	generation int64
	gates      []scan.Gate
	exceptions []scan.Exception
	documents  []scan.VEXDocument
	indexes    []digest.Digest
	subject    scan.Subject
	findings   []scan.Finding
	manifest   registry.Manifest
	err        error // of everything

	loaded int // how often findings were
}

func (k *kept) RulesGeneration(context.Context) (int64, error) { return k.generation, k.err }

func (k *kept) Gates(context.Context) ([]scan.Gate, error) { return k.gates, k.err }

func (k *kept) ExceptionsInForce(context.Context) ([]scan.Exception, error) {
	return k.exceptions, k.err
}

func (k *kept) Subject(context.Context, registry.Name, registry.Reference) (scan.Subject, error) {
	return k.subject, k.err
}

func (k *kept) ScanFindings(context.Context, digest.Digest) ([]byte, error) {
	k.loaded++
	return zipped(k.findings), k.err
}

func (k *kept) VEX(context.Context, registry.Name, digest.Digest, bool) ([]scan.VEXDocument, []digest.Digest, error) {
	return k.documents, k.indexes, k.err
}

func (k *kept) ArchivedManifest(context.Context, registry.Name, digest.Digest) (registry.Manifest, error) {
	return k.manifest, k.err
}

// find has findings be what is found.
func (k *kept) find(findings ...scan.Finding) {
	b, _ := json.Marshal(scan.SumUp(findings))
	k.findings = findings
	k.subject = scan.Subject{
		Digest: image, MediaType: registry.MediaTypeImageManifest, Status: scan.Complete, MatchedAt: k.subject.MatchedAt.Add(time.Minute), Blocking: string(b),
	}
}

func zipped(findings []scan.Finding) []byte {
	b, err := scantest.Keep(findings)
	if err != nil {
		panic(err)
	}
	return b
}

func found(id string, severity scan.Severity, fixed string, ago time.Duration) scan.Finding {
	return scan.Finding{ID: id, Severity: severity, Package: scan.Package{Name: "openssl"}, Installed: "1", Fixed: fixed, FirstFoundAt: now.Add(-ago)}
}

func TestJudge(t *testing.T) {
	const day = 24 * time.Hour
	high := scan.Gate{Repository: "*", Mode: scan.Block, Severity: scan.High}
	change := func(f func(*scan.Gate)) scan.Gate {
		g := high
		f(&g)
		return g
	}
	fixable := change(func(g *scan.Gate) { g.Fixable = true })
	old := change(func(g *scan.Gate) { g.After = 7 * day })
	scanned := change(func(g *scan.Gate) { g.Scanned = true })
	both := change(func(g *scan.Gate) { g.Fixable, g.After = true, 7*day })
	plain := registrytest.Recipe{Seed: 1}.Image()
	chart := registrytest.Recipe{Seed: 1, ArtifactType: "application/vnd.example"}.Image()
	for _, test := range []struct {
		name     string
		gate     scan.Gate
		findings []scan.Finding // nil if it was not scanned
		change   func(*kept)
		passes   bool
	}{
		{"nothing found", high, []scan.Finding{}, nil, true},
		{"something worse", high, []scan.Finding{found("CVE-1", scan.Critical, "", 0)}, nil, false},
		{"just as bad", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, nil, false},
		{"less bad", high, []scan.Finding{found("CVE-1", scan.Medium, "", 0), found("CVE-2", scan.Undefined, "", 0)}, nil, true},
		{"without a fix", fixable, []scan.Finding{found("CVE-1", scan.High, "", 0), found("CVE-2", scan.Low, "2", 0)}, nil, true},
		{"with a fix", fixable, []scan.Finding{found("CVE-1", scan.High, "2", 0)}, nil, false},
		{"too young", old, []scan.Finding{found("CVE-1", scan.High, "", 7*day-time.Second)}, nil, true},
		{"old enough", old, []scan.Finding{found("CVE-1", scan.High, "", 0), found("CVE-2", scan.Critical, "", 7*day)}, nil, false},
		{"old without a fix and new with one", both, []scan.Finding{found("CVE-1", scan.High, "", 8*day), found("CVE-2", scan.High, "2", 0)}, nil, true},
		{"an exception", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.exceptions = []scan.Exception{{Vulnerability: "CVE-1", Repository: "team/*"}}
		}, true},
		{"an exception for another repository", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.exceptions = []scan.Exception{{Vulnerability: "CVE-1", Repository: "shop"}}
		}, false},
		{"an exception that has expired", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.exceptions = []scan.Exception{{Vulnerability: "CVE-1", Repository: "*", ExpiresAt: now}}
		}, false},
		{"an exception for one of two", high, []scan.Finding{found("CVE-1", scan.High, "", 0), found("CVE-2", scan.High, "", 0)}, func(k *kept) {
			k.exceptions = []scan.Exception{{Vulnerability: "CVE-1", Repository: "*"}}
		}, false},
		{"a VEX document", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.documents = []scan.VEXDocument{{Statements: []scan.VEXStatement{{Vulnerabilities: []string{"CVE-1"}, Status: scan.VEXNotAffected, Image: true}}}}
		}, true},
		{"a VEX document that is not asked", change(func(g *scan.Gate) { g.IgnoreVEX = true }), []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.documents = []scan.VEXDocument{{Statements: []scan.VEXStatement{{Vulnerabilities: []string{"CVE-1"}, Status: scan.VEXNotAffected, Image: true}}}}
		}, false},
		{"an exception where VEX is not asked", change(func(g *scan.Gate) { g.IgnoreVEX = true }), []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) {
			k.exceptions = []scan.Exception{{Vulnerability: "CVE-1", Repository: "*"}}
		}, true},
		{"mode off", change(func(g *scan.Gate) { g.Mode = scan.Off }), []scan.Finding{found("CVE-1", scan.High, "", 0)}, nil, true},
		{"a gate for others", change(func(g *scan.Gate) { g.Repository = "shop" }), []scan.Finding{found("CVE-1", scan.High, "", 0)}, nil, true},
		{"an index", high, []scan.Finding{found("CVE-1", scan.High, "", 0)}, func(k *kept) { k.subject.MediaType = registry.MediaTypeImageIndex }, true},
		{"a list of docker", scanned, nil, func(k *kept) { k.subject.MediaType = registry.MediaTypeDockerList }, true},
		{"never scanned", high, nil, nil, true},
		{"never scanned where that is wanted", scanned, nil, nil, false},
		{"scan has failed", scanned, nil, func(k *kept) { k.subject.Status, k.subject.Reason = scan.Failed, "it is broken" }, false},
		{"scan has failed, the one before has not", scanned, []scan.Finding{}, func(k *kept) { k.subject.Status = scan.Failed }, true},
		{"not supported", scanned, nil, func(k *kept) { k.subject.Status = scan.Unsupported }, true},
		{"an artifact", scanned, nil, func(k *kept) { k.manifest = chart.Manifest }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := &kept{gates: []scan.Gate{test.gate}, manifest: plain.Manifest}
			k.subject = scan.Subject{Digest: image, MediaType: registry.MediaTypeImageManifest}
			if test.findings != nil {
				k.find(test.findings...)
			}
			if test.change != nil {
				test.change(k)
			}
			keeper := scan.NewGatekeeper(k, func() time.Time { return now })
			for _, again := range []bool{false, true} {
				v, err := keeper.Judge(t.Context(), "team/app", registry.Reference{Tag: "v1"})
				if err != nil || v.Passes != test.passes || v.Summary() == "" {
					t.Errorf("again %t: %+v, %v", again, v, err)
				}
			}
			if k.loaded > 1 {
				t.Errorf("the findings were loaded %d times", k.loaded)
			}
		})
	}
}

// TestVerdictsAge has time alone change what is remembered.
func TestVerdictsAge(t *testing.T) {
	k := &kept{
		gates:      []scan.Gate{{Repository: "*", Mode: scan.Block, Severity: scan.High, After: time.Hour}},
		exceptions: []scan.Exception{{Vulnerability: "CVE-1", Repository: "*", ExpiresAt: now.Add(10 * time.Minute)}},
	}
	k.find(found("CVE-1", scan.High, "", time.Hour), found("CVE-2", scan.High, "", 40*time.Minute))
	at := now
	keeper := scan.NewGatekeeper(k, func() time.Time { return at })
	for _, step := range []struct {
		after time.Duration
		total int
	}{{0, 0}, {10*time.Minute - 1, 0}, {10 * time.Minute, 1}, {20*time.Minute - 1, 1}, {20 * time.Minute, 2}, {time.Hour, 2}} {
		at = now.Add(step.after)
		v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "v1"})
		if err != nil || v.Total != step.total || v.Passes != (step.total == 0) {
			t.Errorf("after %v: %+v, %v; want %d", step.after, v, err, step.total)
		}
	}
	if k.loaded != 3 {
		t.Errorf("the findings were loaded %d times; want 3", k.loaded)
	}
	// A scan, a document and a rule change it too.
	k.find()
	if v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "v1"}); err != nil || !v.Passes {
		t.Errorf("scanned again: %+v, %v", v, err)
	}
	k.find(found("CVE-1", scan.High, "", time.Hour))
	k.documents = []scan.VEXDocument{{Digest: "sha256:1", Statements: []scan.VEXStatement{{Vulnerabilities: []string{"CVE-1"}, Status: scan.VEXFixed, Image: true}}}}
	if v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "v1"}); err != nil || !v.Passes || v.Excepted != 1 {
		t.Errorf("with a document: %+v, %v", v, err)
	}
	k.documents = nil
	if v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "v1"}); err != nil || v.Passes {
		t.Errorf("without it: %+v, %v", v, err)
	}
	k.gates, k.generation = nil, 1
	if v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "v1"}); err != nil || !v.Passes {
		t.Errorf("without a gate: %+v, %v", v, err)
	}
}

// TestVerdictsKnowIndexes has an index come and go by whose digest a document means an image.
func TestVerdictsKnowIndexes(t *testing.T) {
	k := &kept{gates: []scan.Gate{{Repository: "*", Mode: scan.Block, Severity: scan.High}}}
	k.find(found("CVE-1", scan.High, "", 0))
	k.documents = []scan.VEXDocument{{Statements: []scan.VEXStatement{
		{Vulnerabilities: []string{"CVE-1"}, Status: scan.VEXFixed, Products: []scan.VEXProduct{{Names: []string{string(index)}}}},
	}}}
	keeper := scan.NewGatekeeper(k, func() time.Time { return now })
	for i, indexes := range [][]digest.Digest{nil, {index}, nil} {
		k.indexes = indexes
		v, err := keeper.Judge(t.Context(), "app", registry.Reference{Digest: image})
		if err != nil || v.Passes != (indexes != nil) {
			t.Errorf("%d: %+v, %v", i, v, err)
		}
	}
}

// TestJudgeFails has nothing pass of which the database does not know.
func TestJudgeFails(t *testing.T) {
	broken := errors.New("broken")
	for _, k := range []*kept{
		{err: broken},
		{gates: []scan.Gate{{Repository: "*", Mode: scan.Block, Severity: scan.High}}, subject: scan.Subject{MatchedAt: now, Blocking: "?"}},
	} {
		v, err := scan.NewGatekeeper(k, nil).Judge(t.Context(), "a", registry.Reference{Tag: "v1"})
		if err == nil || k.err != nil && !errors.Is(err, broken) {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

// TestSumAndFindingsAgree draws gates and findings and compares what the sum of the findings
// says with what they say themselves.
func TestSumAndFindingsAgree(t *testing.T) {
	var passed, stopped int
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scan.Finding {
			return found(rapid.SampledFrom([]string{"CVE-1", "CVE-2", "CVE-3"}).Draw(t, "id"), rapid.SampledFrom(scan.Severities()).Draw(t, "severity"),
				rapid.SampledFrom([]string{"", "2"}).Draw(t, "fixed"), time.Duration(rapid.IntRange(0, 5).Draw(t, "age"))*time.Hour)
		}), 0, 6).Draw(t, "findings")
		g := scan.Gate{
			Repository: "*", Mode: scan.Block, Severity: rapid.SampledFrom(scan.Severities()).Draw(t, "severity"),
			Fixable: rapid.Bool().Draw(t, "fixable"), After: time.Duration(rapid.IntRange(0, 6).Draw(t, "after")) * time.Hour,
		}
		k := &kept{gates: []scan.Gate{g}}
		k.find(drawn...)
		v, err := scan.NewGatekeeper(k, func() time.Time { return now }).Judge(context.Background(), "a", registry.Reference{Tag: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, f := range drawn {
			if f.Severity.AtLeast(g.Severity) && (f.Fixable() || !g.Fixable) && now.Sub(f.FirstFoundAt) >= g.After {
				want++
			}
		}
		// Findings are only looked at where the sum says that one stops the image: then one has to.
		if v.Total != want || v.Passes != (want == 0) || (k.loaded > 0) != (want > 0) {
			t.Errorf("%v of %+v: %+v; want %d, and the findings were loaded %d times", g, drawn, v, want, k.loaded)
		}
		if v.Passes {
			passed++
		} else {
			stopped++
		}
	})
	if passed == 0 || stopped == 0 {
		t.Errorf("%d passed and %d were stopped: one of them was not tried", passed, stopped)
	}
}

// scannedImage is a registry with an image in which something was found.
func scannedImage(t testing.TB, url string, findings ...scan.Finding) (*meta.DB, *engine.Engine, registrytest.Image) {
	t.Helper()
	db, err := meta.Open(context.Background(), url, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
	i := registrytest.Recipe{Seed: 1}.Image()
	ctx := t.Context()
	for _, b := range i.Blobs {
		if _, err := e.PutBlob(ctx, "team/app", b.Chunk(), b.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.PutManifest(ctx, "team/app", i.Manifest, []registry.Tag{"v1"}); err != nil {
		t.Fatal(err)
	}
	if err := scantest.Find(ctx, db, "team/app", i.Digest, findings...); err != nil {
		t.Fatal(err)
	}
	return db, e, i
}

// TestGatesMoveWhilePulling changes gates and exceptions while images are pulled. Whoever asks
// after a change is done has to see it.
func TestGatesMoveWhilePulling(t *testing.T) {
	db, e, _ := scannedImage(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), found("CVE-1", scan.High, "2", 0))
	gated := scan.Gated(e, scan.NewGatekeeper(db, nil), nil)
	ctx, stop := context.WithCancel(t.Context())
	var pullers sync.WaitGroup
	for range 4 {
		pullers.Go(func() {
			for ctx.Err() == nil {
				_, err := gated.Manifest(ctx, "team/app", registry.Reference{Tag: "v1"})
				if err != nil && !errors.Is(err, registry.ErrDenied) && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	pull := func() error {
		_, err := gated.Manifest(ctx, "team/app", registry.Reference{Tag: "v1"})
		return err
	}
	for range 30 {
		if err := db.PutGate(ctx, scan.Gate{Repository: "team/*", Mode: scan.Block, Severity: scan.High}); err != nil {
			t.Fatal(err)
		}
		if err := pull(); !errors.Is(err, registry.ErrDenied) {
			t.Fatalf("with a gate: %v", err)
		}
		x, err := db.AddException(ctx, scan.Exception{Vulnerability: "CVE-1", Repository: "*"})
		if err != nil {
			t.Fatal(err)
		}
		if err := pull(); err != nil {
			t.Fatalf("with an exception: %v", err)
		}
		if _, err := db.DeleteException(ctx, x.ID); err != nil {
			t.Fatal(err)
		}
		if err := pull(); !errors.Is(err, registry.ErrDenied) {
			t.Fatalf("without the exception: %v", err)
		}
		if err := db.DeleteGate(ctx, "team/*"); err != nil {
			t.Fatal(err)
		}
		if err := pull(); err != nil {
			t.Fatalf("without the gate: %v", err)
		}
	}
	stop()
	pullers.Wait()
}

func BenchmarkJudge(b *testing.B) {
	db, e, i := scannedImage(b, "sqlite:"+filepath.Join(b.TempDir(), "berth.db"), found("CVE-1", scan.High, "2", 0), found("CVE-2", scan.Medium, "", 0), found("CVE-3", scan.Low, "2", 0))
	ctx := b.Context()
	judge := func(name string, passes bool) {
		keeper := scan.NewGatekeeper(db, nil)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v, err := keeper.Judge(ctx, "team/app", i.Reference())
				if err != nil || v.Passes != passes {
					b.Fatalf("%+v, %v", v, err)
				}
			}
		})
	}
	judge("no gate", true)
	if err := db.PutGate(ctx, scan.Gate{Repository: "team/*", Mode: scan.Block, Severity: scan.Critical}); err != nil {
		b.Fatal(err)
	}
	judge("passes", true)
	b.Run("for comparison, StatManifest", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.StatManifest(ctx, "team/app", i.Reference()); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := db.PutGate(ctx, scan.Gate{Repository: "team/*", Mode: scan.Block, Severity: scan.High}); err != nil {
		b.Fatal(err)
	}
	judge("blocked", false)
	if _, err := db.AddException(ctx, scan.Exception{Vulnerability: "CVE-1", Repository: "*"}); err != nil {
		b.Fatal(err)
	}
	judge("excepted", true)
}
