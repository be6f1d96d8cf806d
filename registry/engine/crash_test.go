package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// hooked is a store that says when bytes are safe, which is when a crash hurts most.
type hooked struct {
	blob.Store
	resuming, suspended, committed, discarding func()
}

func hook(s blob.Store) *hooked {
	nothing := func() {}
	return &hooked{Store: s, resuming: nothing, suspended: nothing, committed: nothing, discarding: nothing}
}

func (h *hooked) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	w, err := h.Store.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &hookedWriter{w, h}, nil
}

func (h *hooked) Resume(ctx context.Context, key blob.Key, state []byte) (blob.Writer, error) {
	h.resuming()
	w, err := h.Store.Resume(ctx, key, state)
	if err != nil {
		return nil, err
	}
	return &hookedWriter{w, h}, nil
}

func (h *hooked) Discard(ctx context.Context, key blob.Key, state []byte) error {
	h.discarding()
	return h.Store.Discard(ctx, key, state)
}

type hookedWriter struct {
	blob.Writer
	store *hooked
}

func (w *hookedWriter) Suspend(ctx context.Context) ([]byte, error) {
	state, err := w.Writer.Suspend(ctx)
	w.store.suspended()
	return state, err
}

func (w *hookedWriter) Commit(ctx context.Context) error {
	err := w.Writer.Commit(ctx)
	w.store.committed()
	return err
}

// TestCrashBetweenBytesAndRow has the process die when the store has the bytes and
// the database does not know it yet. What was acknowledged before must be there
// afterwards, and the upload must go on, or be over, but not be stuck.
func TestCrashBetweenBytesAndRow(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	for _, store := range []struct {
		name string
		open func(testing.TB) blob.Store
	}{
		{"mem", func(testing.TB) blob.Store { return mem.New() }},
		{"fs", openFS},
	} {
		for _, acknowledged := range []int{0, 400} {
			for name, crash := range map[string]func(registry.Registry, registry.UploadID) error{
				"AppendUpload": func(r registry.Registry, id registry.UploadID) error {
					_, err := r.AppendUpload(t.Context(), "a", id, b.Part(acknowledged, 700))
					return err
				},
				"FinishUpload": func(r registry.Registry, id registry.UploadID) error {
					_, err := r.FinishUpload(t.Context(), "a", id, b.Part(acknowledged, len(b.Bytes)), b.Digest)
					return err
				},
			} {
				t.Run(store.name+"/"+name+"/"+map[bool]string{true: "first", false: "later"}[acknowledged == 0], func(t *testing.T) {
					testCrash(t, store.open(t), b, acknowledged, crash)
				})
			}
		}
	}
}

func testCrash(t *testing.T, s blob.Store, b registrytest.Blob, acknowledged int, crash func(registry.Registry, registry.UploadID) error) {
	db, path := openDBAt(t)
	h := hook(s)
	e := engine.New(db, h, open)
	u, err := e.StartUpload(t.Context(), "a", b.Digest.Algorithm())
	if err == nil && acknowledged > 0 {
		u, err = e.AppendUpload(t.Context(), "a", u.ID, b.Part(0, acknowledged))
	}
	if err != nil {
		t.Fatal(err)
	}
	die := func() { db.Close() }
	h.suspended, h.committed = die, die
	if err := crash(e, u.ID); err == nil {
		t.Fatal("no error though the database is closed")
	}

	db, err = meta.Open(t.Context(), path, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e = engine.New(db, s, open)
	if got, err := e.Upload(t.Context(), "a", u.ID); err != nil || got.Offset != int64(acknowledged) {
		t.Fatalf("after the crash the upload is %+v, %v", got, err)
	}
	_, err = e.AppendUpload(t.Context(), "a", u.ID, b.Part(acknowledged, 600))
	if err == nil {
		_, err = e.FinishUpload(t.Context(), "a", u.ID, b.Part(600, len(b.Bytes)), b.Digest)
	}
	if err != nil && !errors.Is(err, registry.ErrUploadUnknown) {
		t.Errorf("the upload is stuck: %v", err)
	}
	if _, err := e.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); err != nil {
		t.Errorf("PutBlob: %v", err)
	}
	wantOnly(t, e, s, b)
}

// TestCancelMeetsFinish has an upload finished by a server while another process, as
// berth gc is one, cancels it. Either may win, and what was acknowledged is there.
func TestCancelMeetsFinish(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	for name, race := range map[string]func(server, gc *hooked, finish, cancel func()){
		"before the bytes are resumed": func(server, _ *hooked, finish, cancel func()) {
			server.resuming = cancel
			finish()
		},
		"before the row is written": func(server, _ *hooked, finish, cancel func()) {
			server.committed = cancel
			finish()
		},
		"before the bytes are discarded": func(_, gc *hooked, finish, cancel func()) {
			gc.discarding = finish
			cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := openDB(t), mem.New()
			one, two := hook(s), hook(s)
			server, gc := engine.New(db, one, open), engine.New(db, two, open)
			u, err := server.StartUpload(t.Context(), "a", b.Digest.Algorithm())
			want(t, "StartUpload", err, nil)
			_, err = server.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 400))
			want(t, "AppendUpload", err, nil)

			var finished, cancelled error
			race(one, two,
				func() { _, finished = server.FinishUpload(t.Context(), "a", u.ID, b.Part(400, len(b.Bytes)), b.Digest) },
				func() { cancelled = gc.CancelUpload(t.Context(), "a", u.ID) })
			if (finished == nil) == (cancelled == nil) {
				t.Errorf("FinishUpload: %v, CancelUpload: %v", finished, cancelled)
			}
			if _, err := server.OpenBlob(t.Context(), "a", b.Digest, registry.Span{}); (err == nil) != (finished == nil) {
				t.Errorf("FinishUpload: %v, OpenBlob: %v", finished, err)
			}
			_, err = server.PutBlob(t.Context(), "a", b.Chunk(), b.Digest) // so that there is a blob in any case
			want(t, "PutBlob", err, nil)
			wantOnly(t, server, s, b)
		})
	}
}

// TestOvertakenChunk has another process note a chunk while one is being written. The
// slower of the two is told where the upload stands.
func TestOvertakenChunk(t *testing.T) {
	b := registrytest.NewBlob(1, 100_000)
	db, s := openDB(t), mem.New()
	h := hook(s)
	slow, fast := engine.New(db, h, open), engine.New(db, s, open)
	u, err := slow.StartUpload(t.Context(), "a", b.Digest.Algorithm())
	want(t, "StartUpload", err, nil)
	h.suspended = func() {
		h.suspended = func() {}
		_, err := fast.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 300))
		want(t, "AppendUpload", err, nil)
	}
	got, err := slow.AppendUpload(t.Context(), "a", u.ID, b.Part(0, 700))
	want(t, "AppendUpload that was overtaken", err, registry.ErrRangeInvalid)
	if got.ID != u.ID || got.Offset != 300 {
		t.Errorf("it says that %s stands at %d, want %s at 300", got.ID, got.Offset, u.ID)
	}
}

// wantOnly checks that when abandoned uploads have expired there is one object, that
// of b.
func wantOnly(t *testing.T, e *engine.Engine, s blob.Store, b registrytest.Blob) {
	t.Helper()
	err := e.ExpireUploads(t.Context(), time.Now().Add(time.Hour), false, func(engine.Expired) {})
	if err != nil {
		t.Errorf("ExpireUploads: %v", err)
	}
	for o, err := range s.All(t.Context()) {
		if err != nil || !o.Committed || o.Size != b.Size {
			t.Errorf("an object stays behind: %+v (%v)", o, err)
		}
	}
	summary, err := e.Inspect(t.Context(), engine.Check{Deep: true, Found: func(p engine.Problem) error { return errors.New(p.Message) }})
	if err != nil || summary.Blobs != 1 || summary.Objects != 1 {
		t.Errorf("Inspect: %+v, %v", summary, err)
	}
}
