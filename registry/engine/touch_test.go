package engine

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// TestLongRequest has another replica look for abandoned uploads while one request is
// still receiving, which began long ago.
func TestLongRequest(t *testing.T) {
	db, err := meta.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	opts := Options{CreateOnPush: true}
	store := mem.New()
	e, other := New(db, store, opts), New(db, store, opts)
	e.touchEvery = 10 * time.Millisecond
	u, err := e.StartUpload(t.Context(), "a", digest.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var long time.Time // before which uploads are abandoned
	body := io.MultiReader(
		bytes.NewReader(make([]byte, 100_000)),
		when(func() {
			time.Sleep(50 * time.Millisecond)
			long = time.Now()
		}),
		bytes.NewReader(make([]byte, 100_000)),
		when(func() {
			idle := func(x Expired) { t.Errorf("%+v is taken for abandoned", x) }
			if err := other.ExpireUploads(t.Context(), long, false, idle); err != nil {
				t.Error(err)
			}
		}),
	)
	if u, err = e.AppendUpload(t.Context(), "a", u.ID, registry.Chunk{Body: body, Size: -1}); err != nil || u.Offset != 200_000 {
		t.Errorf("AppendUpload: %+v, %v", u, err)
	}
}

// when is an empty body that does something when it is read.
type when func()

func (w when) Read([]byte) (int, error) {
	w()
	return 0, io.EOF
}
