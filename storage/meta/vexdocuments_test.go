package meta_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

func openVEX(status, product string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"Ann","timestamp":"2026-01-01T00:00:00Z","statements":[
		{"vulnerability":{"name":"CVE-1"},"products":[{"@id":%q}],"status":%q,"justification":"component_not_present"}]}`, product, status)
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
