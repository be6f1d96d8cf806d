package meta_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
	"berth/scan/vex"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/queue"
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

func openVEX(status, product string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"Ann","timestamp":"2026-01-01T00:00:00Z","statements":[
		{"vulnerability":{"name":"CVE-1"},"products":[{"@id":%q}],"status":%q,"justification":"component_not_present"}]}`, product, status)
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

// TestVEX pushes documents in the ways in which they come and looks at what they take out.
func TestVEX(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
		reader := vex.NewReader(db, e)
		read := func() {
			t.Helper()
			if err := queue.NewWorker(db, reader.Jobs(), queue.Options{}).RunDue(ctx); err != nil {
				t.Fatal(err)
			}
			jobs, err := db.Jobs(ctx, queue.Filter{Kind: scan.VEXJob}, 0, 10)
			if err != nil || len(jobs) != 0 {
				t.Fatalf("jobs are left: %+v, %v", jobs, err)
			}
		}
		image := registrytest.Recipe{Seed: 1}.Image()
		index := registrytest.Recipe{Seed: 2}.Index(image)
		push(t, e, "team/app", index, "v1")
		if err := scantest.Find(ctx, db, "team/app", image.Digest, finding("CVE-1", scan.Critical, "2", time.Time{})); err != nil {
			t.Fatal(err)
		}
		if err := db.PutGate(ctx, scan.Gate{Repository: "*", Mode: scan.Block, Severity: scan.High}); err != nil {
			t.Fatal(err)
		}
		keeper := scan.NewGatekeeper(db, nil)
		want := func(when string, passes bool) {
			t.Helper()
			v, err := keeper.Judge(ctx, "team/app", image.Reference())
			if err != nil || v.Passes != passes {
				t.Fatalf("%s: %+v, %v", when, v, err)
			}
			out, err := keeper.Except(ctx, "team/app", image.Digest, func() ([]scan.Finding, error) {
				return []scan.Finding{finding("CVE-1", scan.Critical, "2", time.Time{})}, nil
			})
			if err != nil || (len(out) == 1) != passes {
				t.Fatalf("%s: out are %+v, %v", when, out, err)
			}
			if passes && (out[0].Author != "Ann" || !strings.Contains(out[0].Reason, "component not present")) {
				t.Errorf("%s: it is out as %+v", when, out[0])
			}
		}
		want("without a document", false)

		onImage, onIndex := image.Descriptor(), index.Descriptor()
		product := "pkg:oci/app@" + string(image.Digest)
		for _, test := range []struct {
			name     string
			document registrytest.Image
			tags     []registry.Tag
			passes   bool
		}{
			{"of the image", document("application/openvex+json", openVEX("not_affected", product), &onImage), nil, true},
			{"of the index", document("application/vnd.openvex+json", openVEX("fixed", "pkg:oci/app"), &onIndex), nil, true},
			{"that says the opposite", document("application/openvex+json", openVEX("affected", product), &onImage), nil, false},
			{
				"by the tag of cosign", document("application/vnd.dsse.envelope.v1+json", openVEX("fixed", product), nil),
				[]registry.Tag{"x", registry.Tag(strings.Replace(string(image.Digest), ":", "-", 1) + ".att")},
				true,
			},
			{"by another tag", document("application/vnd.dsse.envelope.v1+json", openVEX("fixed", product), nil), []registry.Tag{"y"}, false},
			{"of CycloneDX", document("application/vnd.cyclonedx+json", `{"bomFormat":"CycloneDX","metadata":{"authors":[{"name":"Ann"}]},"vulnerabilities":[{"id":"CVE-1",
				"analysis":{"state":"not_affected","detail":"component not present"},"affects":[{"ref":"pkg:deb/debian/openssl"}]}]}`, &onImage), nil, true},
			{"by the type of its manifest", typed("application/vnd.openvex+json", document("application/json", openVEX("fixed", product), nil), &onImage), nil, true},
			{"of another image", document("application/openvex+json", openVEX("fixed", "pkg:oci/other"), &onImage), nil, false},
			{"that cannot be read", document("application/openvex+json", `{"@context":`, &onImage), nil, false},
		} {
			push(t, e, "team/app", test.document, test.tags...)
			want("before it was read: a document "+test.name, false)
			read()
			want("a document "+test.name, test.passes)
			if err := e.DeleteManifest(ctx, "team/app", test.document.Digest); err != nil {
				t.Fatal(err)
			}
			want("when it is gone: a document "+test.name, false)
		}

		// One by a tag counts for as long as the tag is there.
		att := registry.Tag(strings.Replace(string(image.Digest), ":", "-", 1) + ".att")
		doc := document("application/vnd.dsse.envelope.v1+json", openVEX("fixed", product), nil)
		push(t, e, "team/app", doc, att)
		read()
		want("with its tag", true)
		push(t, e, "team/app", registrytest.Recipe{Seed: 3}.Image(), att)
		want("without its tag", false)
		push(t, e, "team/app", doc, att)
		read()
		want("with its tag again", true)
		if err := e.DeleteManifest(ctx, "team/app", doc.Digest); err != nil {
			t.Fatal(err)
		}

		// One that is restored is read again.
		doc = document("application/openvex+json", openVEX("fixed", product), &onImage)
		push(t, e, "team/app", doc)
		read()
		if err := e.DeleteManifest(ctx, "team/app", doc.Digest); err != nil {
			t.Fatal(err)
		}
		if _, err := e.RestoreImage(ctx, "team/app", registry.ImageID{Digest: doc.Digest}, registry.Restoration{}); err != nil {
			t.Fatal(err)
		}
		read()
		want("restored", true)

		// What cannot be read is told.
		bad := document("application/openvex+json", `{"@context":"https://openvex.dev/ns","statements":[{}]}`, &onImage)
		push(t, e, "team/app", bad)
		read()
		all, err := db.VEXDocuments(ctx, "team/app", scan.VEXDocument{}, 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("the documents are %+v, %v", all, err)
		}
		i := slices.IndexFunc(all, func(x scan.VEXDocument) bool { return x.Digest == bad.Digest })
		if !strings.Contains(all[i].Error, "status") || all[i].Subject != image.Digest || len(all[i].Statements) != 0 {
			t.Errorf("the bad document: %+v", all[i])
		}
		if page, err := db.VEXDocuments(ctx, "team/app", all[0], 10); err != nil || len(page) != 1 || page[0].Digest != all[1].Digest {
			t.Errorf("the second page: %+v, %v", page, err)
		}
		want("beside one that cannot be read", true)

		// They go with the repository.
		if err := e.DeleteRepository(ctx, "team/app", true); err != nil {
			t.Fatal(err)
		}
		push(t, e, "team/app", image)
		if all, err := db.VEXDocuments(ctx, "team/app", scan.VEXDocument{}, 10); err != nil || len(all) != 0 {
			t.Errorf("documents of a repository that was deleted: %+v, %v", all, err)
		}
		// A job about what is gone has nothing to do.
		for _, repo := range []registry.Name{"team/app", "gone"} {
			if err := reader.Read(ctx, scan.VEXPayload{Repository: repo, Digest: bad.Digest}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestLargeVEX pushes a document that is not read at all.
func TestLargeVEX(t *testing.T) {
	db, ctx := open(t), t.Context()
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
	image := registrytest.Recipe{Seed: 1}.Image()
	push(t, e, "a", image)
	on := image.Descriptor()
	doc := document("application/openvex+json", strings.Repeat(" ", scan.MaxVEX)+openVEX("fixed", "pkg:oci/a"), &on)
	push(t, e, "a", doc)
	if err := vex.NewReader(db, e).Read(ctx, scan.VEXPayload{Repository: "a", Digest: doc.Digest}); err != nil {
		t.Fatal(err)
	}
	all, err := db.VEXDocuments(ctx, "a", scan.VEXDocument{}, 10)
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Error, "at most 8388608") {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestVEXOfBefore: documents that were pushed before anybody read them are read when the schema
// changes.
func TestVEXOfBefore(t *testing.T) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			url := "sqlite:" + t.TempDir() + "/berth.db"
			if database == "PostgreSQL" {
				url = pgtest.Database(t)
			}
			ctx, before, blobs := t.Context(), openURL(t, url, meta.Options{}), mem.New()
			e := engine.New(before, blobs, engine.Options{CreateOnPush: true})
			image := registrytest.Recipe{Seed: 1}.Image()
			on := image.Descriptor()
			push(t, e, "team/app", image)
			doc := typed("application/openvex+json", document("application/openvex+json", openVEX("fixed", "pkg:oci/app"), nil), &on)
			push(t, e, "team/app", doc)
			push(t, e, "team/app", registrytest.Recipe{ArtifactType: "application/vnd.example", Subject: &on}.Image())
			run := func(db *meta.DB, e *engine.Engine) {
				t.Helper()
				if err := queue.NewWorker(db, vex.NewReader(db, e).Jobs(), queue.Options{}).RunDue(ctx); err != nil {
					t.Fatal(err)
				}
			}
			run(before, e) // or the job would still be there
			if err := meta.Uncount(ctx, before); err != nil {
				t.Fatal(err)
			}
			db := openURL(t, url, meta.Options{})
			if jobs, err := db.Jobs(ctx, queue.Filter{Kind: scan.VEXJob}, 0, 10); err != nil || len(jobs) != 1 {
				t.Fatalf("the jobs are %+v, %v", jobs, err)
			}
			run(db, engine.New(db, blobs, engine.Options{}))
			all, err := db.VEXDocuments(ctx, "team/app", scan.VEXDocument{}, 10)
			if err != nil || len(all) != 1 || all[0].Digest != doc.Digest || len(all[0].Statements) != 1 {
				t.Errorf("the documents are %+v, %v", all, err)
			}
		})
	}
}

// TestVEXIsBounded has more documents pushed about an image than are gone by.
func TestVEXIsBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
		image := registrytest.Recipe{Seed: 1}.Image()
		push(t, e, "a", image)
		on := image.Descriptor()
		put := func(text string, statements ...scan.VEXStatement) registrytest.Image {
			t.Helper()
			doc := document("application/openvex+json", text, &on)
			push(t, e, "a", doc)
			err := db.PutVEX(ctx, "a", doc.Digest, []scan.VEXDocument{{Digest: doc.Digest, Blob: doc.Digest, Subject: image.Digest, Statements: statements}})
			if err != nil {
				t.Fatal(err)
			}
			return doc
		}
		large := scan.VEXStatement{Reason: strings.Repeat("x", 15<<20)}
		want := func(documents int) {
			t.Helper()
			if all, _, err := db.VEX(ctx, "a", image.Digest, true); err != nil || len(all) != documents {
				t.Fatalf("%d documents count, not %d: %v", len(all), documents, err)
			}
		}
		first := put("1", large)
		put("2", large)
		want(2)
		third := put("3", large)
		want(2)
		all, err := db.VEXDocuments(ctx, "a", scan.VEXDocument{}, 10)
		if err != nil || len(all) != 3 {
			t.Fatalf("%d documents, %v", len(all), err)
		}
		for _, x := range all {
			if (x.Error != "") != (x.Digest == third.Digest) || (x.Error == "") != (len(x.Statements) == 1) {
				t.Errorf("%s has the error %q", x.Digest, x.Error)
			}
		}
		put("4", scan.VEXStatement{Reason: "small"})
		want(3)
		if err := e.DeleteManifest(ctx, "a", first.Digest); err != nil {
			t.Fatal(err)
		}
		put("3", large)
		want(3)
	})
}
