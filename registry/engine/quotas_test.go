package engine_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta/pgtest"
)

// onSites runs a test on both databases.
func onSites(t *testing.T, run func(t *testing.T, s *site)) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			url := ""
			if database == "PostgreSQL" {
				url = pgtest.Database(t)
			}
			run(t, newSite(t, url, engine.Options{CreateOnPush: true}, mem.New()))
		})
	}
}

// unread is a body that must not be asked for.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("bytes were read that are refused")
	return 0, io.ErrUnexpectedEOF
}

func TestQuotaRefuses(t *testing.T) {
	onSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		large, larger := registrytest.NewBlob(1, 60_000), registrytest.NewBlob(2, 70_000)
		_, err := s.PutBlob(ctx, "team/app", large.Chunk(), large.Digest)
		want(t, "PutBlob", err, nil)
		_, err = s.PutBlob(ctx, "elsewhere", larger.Chunk(), larger.Digest)
		want(t, "PutBlob", err, nil)
		want(t, "SetQuota", s.SetQuota(ctx, "team", 100_000), nil)

		// Whose size is known is not even read.
		_, err = s.PutBlob(ctx, "team/app", registry.Chunk{Size: 50_000, Body: unread{t}}, digest.FromString("x"))
		want(t, "PutBlob of too much", err, registry.ErrQuotaExceeded)
		u, err := s.StartUpload(ctx, "team/other", digest.SHA256)
		want(t, "StartUpload", err, nil)
		_, err = s.AppendUpload(ctx, "team/other", u.ID, registry.Chunk{Size: 50_000, Body: unread{t}})
		want(t, "AppendUpload of too much", err, registry.ErrQuotaExceeded)
		_, err = s.Upload(ctx, "team/other", u.ID)
		want(t, "Upload of one that was refused", err, registry.ErrUploadUnknown)
		u, err = s.StartUpload(ctx, "team/other", digest.SHA256)
		want(t, "StartUpload", err, nil)
		_, err = s.FinishUpload(ctx, "team/other", u.ID, registry.Chunk{Size: 50_000, Body: unread{t}}, digest.FromString("x"))
		want(t, "FinishUpload of too much", err, registry.ErrQuotaExceeded)

		// Of others the bytes go when it turns out.
		content := bytes.Repeat([]byte("x"), 50_000)
		_, err = s.PutBlob(ctx, "team/app", registry.Chunk{Size: -1, Body: bytes.NewReader(content)}, digest.FromBytes(content))
		want(t, "PutBlob of nobody knows how much", err, registry.ErrQuotaExceeded)
		u, err = s.StartUpload(ctx, "team/app", digest.SHA256)
		want(t, "StartUpload", err, nil)
		_, err = s.AppendUpload(ctx, "team/app", u.ID, registry.Chunk{Offset: -1, Size: -1, Body: bytes.NewReader(content)})
		want(t, "AppendUpload of nobody knows how much", err, nil)
		_, err = s.FinishUpload(ctx, "team/app", u.ID, registry.Chunk{Offset: -1}, digest.FromBytes(content))
		want(t, "FinishUpload", err, registry.ErrQuotaExceeded)
		_, err = s.Upload(ctx, "team/app", u.ID)
		want(t, "Upload of one that was refused", err, registry.ErrUploadUnknown)
		_, err = s.MountBlob(ctx, "team/app", "elsewhere", larger.Digest)
		want(t, "MountBlob of too much", err, registry.ErrQuotaExceeded)
		if n := s.objects(); n != 2 {
			t.Errorf("%d objects lie in the store, want 2", n)
		}

		// What is there under the prefix costs nothing, even if there is too much already.
		want(t, "SetQuota", s.SetQuota(ctx, "team", 10), nil)
		_, err = s.PutBlob(ctx, "team/other", large.Chunk(), large.Digest)
		want(t, "PutBlob of what is there", err, nil)
		_, err = s.MountBlob(ctx, "team/third", "elsewhere", large.Digest)
		want(t, "MountBlob from where it is not", err, registry.ErrBlobUnknown)
		_, err = s.MountBlob(ctx, "team/third", "team/app", large.Digest)
		want(t, "MountBlob of what is there", err, nil)
		_, err = s.StartUpload(ctx, "team/app", digest.SHA256)
		want(t, "StartUpload when nothing is left", err, registry.ErrQuotaExceeded)
		_, err = s.StartUpload(ctx, "teams", digest.SHA256)
		want(t, "StartUpload elsewhere", err, nil)
		want(t, "RemoveQuota", s.RemoveQuota(ctx, "team"), nil)
		_, err = s.StartUpload(ctx, "team/app", digest.SHA256)
		want(t, "StartUpload without a quota", err, nil)
	})
}

func TestQuotaMessage(t *testing.T) {
	q := registry.Quota{Prefix: "team", Bytes: 5 << 30, Used: 5347234324}
	err := q.Exceeded("team/app", 126144512)
	if got, want := err.Error(), `DENIED: pushing 120.3 MiB to team/app needs 5.1 GiB under "team", whose quota is 5.0 GiB (4.98 GiB used); `+
		`delete images and wait for garbage collection, or ask for more`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w := (registry.Quota{Prefix: strings.Repeat("x", 256), Bytes: 1 << 40, Used: 1 << 40}).Warning(); len(w) > 320 {
		t.Errorf("a warning has %d bytes", len(w))
	}
}

// TestQuotaWarns: who pushes hears of it from 90 % on.
func TestQuotaWarns(t *testing.T) {
	onSites(t, func(t *testing.T, s *site) {
		warned := func(push func(ctx context.Context) error) []string {
			t.Helper()
			var w registry.Warnings
			want(t, "push", push(registry.WithWarnings(t.Context(), &w)), nil)
			return w.All()
		}
		put := func(repo registry.Name, seed uint64, size int) func(context.Context) error {
			return func(ctx context.Context) error {
				b := registrytest.NewBlob(seed, size)
				_, err := s.PutBlob(ctx, repo, b.Chunk(), b.Digest)
				return err
			}
		}
		want(t, "SetQuota", s.SetQuota(t.Context(), "team", 1000), nil)
		if all := warned(put("team/app", 1, 899)); len(all) > 0 {
			t.Errorf("at 89.9 %% there are warnings: %q", all)
		}
		if all := warned(put("team/app", 2, 1)); len(all) != 1 || all[0] != "900 B of 1000 B (90 %) under team are used; delete images, or pushes will be refused" {
			t.Errorf("at 90 %% there are the warnings %q", all)
		}
		if all := warned(put("other", 3, 1000)); len(all) > 0 {
			t.Errorf("elsewhere there are warnings: %q", all)
		}
		if all := warned(func(ctx context.Context) error {
			_, err := s.MountBlob(ctx, "team/b", "team/app", registrytest.NewBlob(2, 1).Digest)
			return err
		}); len(all) != 1 {
			t.Errorf("at a mount there are the warnings %q", all)
		}
		index := registrytest.Recipe{}.Index()
		if all := warned(func(ctx context.Context) error {
			_, err := s.PutManifest(ctx, "team/app", index.Manifest, nil)
			return err
		}); len(all) != 1 {
			t.Errorf("at a manifest there are the warnings %q", all)
		}
	})
}

func TestFreed(t *testing.T) {
	onSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		base := registrytest.NewBlob(100, 1000)
		common := registrytest.NewBlob(101, 300)
		one := registrytest.Recipe{Seed: 1}.With(base, common, registrytest.NewBlob(1, 50))
		two := registrytest.Recipe{Seed: 2}.With(common, registrytest.NewBlob(2, 7))
		child := registrytest.Recipe{Seed: 3}.With(registrytest.NewBlob(3, 10))
		kept := registrytest.Recipe{Seed: 4}.With(registrytest.NewBlob(4, 11))
		index := registrytest.Recipe{}.Index(child, kept)
		subject := index.Descriptor()
		signature := registrytest.Recipe{Seed: 5, Subject: &subject}.With(registrytest.NewBlob(5, 12))
		for _, push := range []struct {
			repo  registry.Name
			image registrytest.Image
			tags  []registry.Tag
		}{
			{"team/app", one, []registry.Tag{"one", "same"}},
			{"team/app", two, []registry.Tag{"two"}},
			{"other", registrytest.Recipe{Seed: 6}.With(base), nil},
			{"team/app", child, nil},
			{"team/app", kept, []registry.Tag{"kept"}},
			{"team/app", index, []registry.Tag{"index"}},
			{"team/app", signature, []registry.Tag{"signature"}},
		} {
			want(t, "push", s.push(ctx, push.repo, push.image, push.tags...), nil)
		}
		size := func(images ...registrytest.Image) (n int64) { // of their configs
			for _, i := range images {
				n += i.Blobs[0].Size
			}
			return n
		}
		freed := func(ref registry.Reference) registry.Freed {
			t.Helper()
			f, err := s.Freed(ctx, "team/app", ref)
			want(t, "Freed", err, nil)
			return f
		}
		for _, test := range []struct {
			name   string
			ref    registry.Reference
			bytes  int64
			images int
			held   string
		}{
			{"a tag beside another", registry.Reference{Tag: "one"}, 0, 0, "the tag same has the image too"},
			{"an image", one.Reference(), 50 + size(one), 1, ""},
			{"its only tag", registry.Reference{Tag: "two"}, 7 + size(two), 1, ""},
			{"an index, a child of which has a tag", registry.Reference{Tag: "index"}, 10 + 12 + size(child, signature), 3, ""},
			{"what an index lists", child.Reference(), 0, 0, "the index " + string(index.Digest) + " lists the image"},
			{"a referrer", signature.Reference(), 12 + size(signature), 1, ""},
		} {
			f := freed(test.ref)
			if f.Bytes != test.bytes || len(f.Images) != test.images || f.HeldBy != test.held {
				t.Errorf("%s: %+v, want %d bytes of %d images, held by %q", test.name, f, test.bytes, test.images, test.held)
			}
		}
		usage, err := s.RepositoryUsage(ctx, "team/app")
		want(t, "RepositoryUsage", err, nil)
		if all := freed(registry.Reference{}); all.Bytes != usage.Unique || usage.Shared != 1000 || usage.Images != 6 {
			t.Errorf("all of it: %+v, of %+v", all, usage)
		}
		_, err = s.Freed(ctx, "team/app", registry.Reference{Tag: "none"})
		want(t, "Freed of an unknown tag", err, registry.ErrManifestUnknown)

		// It is what collecting garbage then frees.
		f := freed(two.Reference())
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "team/app", two.Digest), nil)
		s.clock.advance(48 * time.Hour)
		before, err := s.RegistryUsage(ctx)
		want(t, "RegistryUsage", err, nil)
		s.sweep()
		after, err := s.RegistryUsage(ctx)
		want(t, "RegistryUsage", err, nil)
		if before-after != f.Bytes {
			t.Errorf("%d bytes were freed, not %d", before-after, f.Bytes)
		}
	})
}

// TestMiscount spoils what is counted. An inspection finds it, and counts anew if it may.
func TestMiscount(t *testing.T) {
	path := t.TempDir() + "/berth.db"
	s := newSite(t, "sqlite:"+path, engine.Options{CreateOnPush: true}, mem.New())
	ctx := t.Context()
	b := registrytest.NewBlob(1, 100)
	_, err := s.PutBlob(ctx, "team/app", b.Chunk(), b.Digest)
	want(t, "PutBlob", err, nil)
	db, err := sql.Open("sqlite", path)
	want(t, "Open", err, nil)
	defer db.Close()
	_, err = db.ExecContext(ctx, `UPDATE storage_usage SET unique_bytes = 7 WHERE repository_id <> 0`)
	want(t, "UPDATE", err, nil)
	for _, repair := range []bool{false, true} {
		summary, err := s.Inspect(ctx, engine.Check{Repair: repair, Found: func(p engine.Problem) error {
			if p.Kind != engine.Miscounted || p.Message != "unique bytes of team/app: 7 were counted, there are 100" || p.Repaired != repair {
				t.Errorf("a problem %+v", p)
			}
			return nil
		}})
		if err != nil || summary.Miscounts != 1 {
			t.Errorf("%+v, %v", summary, err)
		}
	}
	want(t, "an inspection afterwards", s.clean(0), nil)
}
