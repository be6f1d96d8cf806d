package meta_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/storage/meta"
)

func finding(id string, severity scan.Severity, fixed string, found time.Time) scan.Finding {
	return scan.Finding{
		ID: id, Severity: severity, Installed: "1", Fixed: fixed, FirstFoundAt: found,
		Package: scan.Package{Name: "openssl", Type: "debian", PURL: "pkg:deb/debian/openssl@1"},
	}
}

// push pushes an image, with all that it lists.
func push(t *testing.T, e *engine.Engine, repo registry.Name, image registrytest.Image, tags ...registry.Tag) {
	t.Helper()
	for _, c := range image.Children {
		push(t, e, repo, c)
	}
	for _, b := range image.Blobs {
		if _, err := e.PutBlob(t.Context(), repo, b.Chunk(), b.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.PutManifest(t.Context(), repo, image.Manifest, tags); err != nil {
		t.Fatal(err)
	}
}

// document is a manifest that refers to subject, if that is not nil, and has a document of a
// media type.
func document(mediaType, text string, subject *registry.Descriptor) registrytest.Image {
	b := registrytest.Blob{Bytes: []byte(text)}
	b.Descriptor = registry.Descriptor{MediaType: mediaType, Digest: digest.FromString(text), Size: int64(len(text))}
	return registrytest.Recipe{Subject: subject}.With(b)
}

// typed is what has the documents of another manifest, and a type that says what they are.
func typed(artifactType string, i registrytest.Image, subject *registry.Descriptor) registrytest.Image {
	return registrytest.Recipe{ArtifactType: artifactType, Subject: subject}.With(i.Blobs[1:]...)
}

func TestGates(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		gate := scan.Gate{Repository: "team/*", Mode: scan.Warn, Severity: scan.High, Fixable: true, After: time.Hour, Scanned: true, Author: "ann"}
		before, err := db.RulesGeneration(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range []scan.Gate{{Repository: "*", Mode: scan.Block, Severity: scan.Critical}, gate, {Repository: "team/app", Mode: scan.Off, Severity: scan.Low}} {
			if err := db.PutGate(ctx, g); err != nil {
				t.Fatal(err)
			}
		}
		gates, err := db.Gates(ctx)
		if err != nil || len(gates) != 3 || gates[0].Repository != "team/app" || gates[2].Repository != "*" {
			t.Fatalf("the gates are %+v, %v", gates, err)
		}
		if gates[1].UpdatedAt.IsZero() {
			t.Error("nobody knows when the gate was set")
		}
		gates[1].UpdatedAt = time.Time{}
		if gates[1] != gate {
			t.Errorf("the gate has become %+v", gates[1])
		}
		gate.Mode = scan.Block
		if err := db.PutGate(ctx, gate); err != nil {
			t.Fatal(err)
		}
		if gates, err = db.Gates(ctx); err != nil || len(gates) != 3 || gates[1].Mode != scan.Block {
			t.Errorf("replaced: %+v, %v", gates, err)
		}
		if err := errors.Join(db.DeleteGate(ctx, "*"), db.DeleteGate(ctx, "team/*")); err != nil {
			t.Error(err)
		}
		if err := db.DeleteGate(ctx, "*"); !errors.Is(err, scan.ErrGateUnknown) {
			t.Errorf("removed again: %v", err)
		}
		after, err := db.RulesGeneration(ctx)
		if err != nil || after != before+6 {
			t.Errorf("the generation went from %d to %d (%v) in 6 changes", before, after, err)
		}
	})
}

func TestTooManyGates(t *testing.T) {
	db, ctx := open(t), t.Context()
	for i := range scan.MaxGates {
		if err := db.PutGate(ctx, scan.Gate{Repository: fmt.Sprint("r", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.PutGate(ctx, scan.Gate{Repository: "one-more"}); !errors.Is(err, registry.ErrLimitExceeded) {
		t.Errorf("one more: %v", err)
	}
	if err := db.PutGate(ctx, scan.Gate{Repository: "r1"}); err != nil {
		t.Errorf("one of them again: %v", err)
	}
}

func TestExceptionsAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		one := scan.Exception{Vulnerability: "CVE-1", Package: "p*", Repository: "team/*", Reason: "why", Author: "ann", ExpiresAt: soon}
		one, err := db.AddException(ctx, one)
		if err != nil || one.ID == 0 || one.CreatedAt.IsZero() {
			t.Fatalf("%+v, %v", one, err)
		}
		old, err := db.AddException(ctx, scan.Exception{Vulnerability: "CVE-2", Repository: "*", Reason: "why", ExpiresAt: time.Now().Add(-time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		all, err := db.Exceptions(ctx, 0, 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("%+v, %v", all, err)
		}
		if diff := cmp.Diff(one, all[0]); diff != "" {
			t.Error(diff)
		}
		if page, err := db.Exceptions(ctx, one.ID, 1); err != nil || len(page) != 1 || page[0].ID != old.ID {
			t.Errorf("the second page: %+v, %v", page, err)
		}
		if valid, err := db.ExceptionsInForce(ctx); err != nil || len(valid) != 1 || valid[0].ID != one.ID {
			t.Errorf("in force: %+v, %v", valid, err)
		}
		if gone, err := db.DeleteException(ctx, one.ID); err != nil || gone != one {
			t.Errorf("removed: %+v, %v", gone, err)
		}
		if _, err := db.DeleteException(ctx, one.ID); !errors.Is(err, scan.ErrExceptionUnknown) {
			t.Errorf("removed again: %v", err)
		}
	})
}

// TestRulesOfOthers has another process change what this one remembers.
func TestRulesOfOthers(t *testing.T) {
	path := t.TempDir() + "/berth.db"
	ours, others := openAt(t, path, meta.Options{}), openAt(t, path, meta.Options{})
	keeper := scan.NewGatekeeper(ours, nil)
	if err := ours.Update(t.Context(), ensure(t.Context(), "a")); err != nil {
		t.Fatal(err)
	}
	gate := func() *scan.Gate {
		t.Helper()
		v, err := keeper.Judge(t.Context(), "a", registry.Reference{Tag: "none"})
		if err != nil && !errors.Is(err, registry.ErrManifestUnknown) {
			t.Fatal(err)
		}
		return v.Gate
	}
	if gate() != nil {
		t.Fatal("there is a gate")
	}
	if err := others.PutGate(t.Context(), scan.Gate{Repository: "*", Mode: scan.Block, Severity: scan.High}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); gate() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the gate is not seen")
		}
	}
	// Our own changes are seen at once.
	if err := ours.DeleteGate(t.Context(), "*"); err != nil {
		t.Fatal(err)
	}
	if gate() != nil {
		t.Error("the gate that is gone is still there")
	}
}
