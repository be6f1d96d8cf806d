package fs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/blobtest"
)

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begun returns a writer of a new object to which b was written.
func begun(t testing.TB, s *Store, b []byte) (blob.Key, blob.Writer) {
	t.Helper()
	key := blob.NewKey()
	w, err := s.Create(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	return key, w
}

// files lists the files of a store, as paths below its folder.
func files(t testing.TB, s *Store) (names []string) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(name, s.dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir(), Options{}) })
}

// TestStoreWithNames is a file system that has no files without names.
func TestStoreWithNames(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s := open(t, t.TempDir(), Options{})
		s.unnamed = false
		return s
	})
}

func TestReaderIsFile(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	key, w := begun(t, s, []byte("layer"))
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), key, blob.Span{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.(*os.File); !ok {
		t.Errorf("Open returns a %T; sendfile needs an *os.File", r)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); string(b) != "yer" || err != nil {
		t.Errorf("after Seek in a deleted object: %q, %v", b, err)
	}
}

func TestLayoutAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "blobs")
	s := open(t, dir, Options{})
	key, w := begun(t, s, []byte("layer"))
	id := string(key[3:])
	if got := files(t, s); len(got) != 0 {
		t.Errorf("while it is written: %q", got)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, s); len(got) != 1 || got[0] != "objects/"+id[:2]+"/"+id {
		t.Errorf("committed: %q", got)
	}
	for name, want := range map[string]os.FileMode{
		".": 0o700, "objects": 0o700, "unfinished": 0o700, "objects/" + id[:2]: 0o700, "objects/" + string(key): 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// TestReopen loses the empty folders, as a copy by some backups does.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	key, w := begun(t, s, []byte("layer"))
	state, err := w.Suspend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, objectsFolder)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	w, err = s.Resume(t.Context(), key, state)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Size(t.Context(), key); n != 5 || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
}

func TestNoKeyLeavesTheFolder(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, key := range []blob.Key{
		"", "a", "../../../etc/passwd", "ab/../../../../../../../../etc/pass", "ab/ab", "ab/ab/34567890123456789012345678901",
		blob.NewKey() + "x", "ab/ab\x0034567890123456789012345678901",
	} {
		if _, err := s.Create(t.Context(), key); err == nil {
			t.Errorf("Create %q: no error", key)
		}
		if _, err := s.Resume(t.Context(), key, []byte("0")); err == nil || errors.Is(err, blob.ErrLost) {
			t.Errorf("Resume %q: %v", key, err)
		}
		if _, err := s.Open(t.Context(), key, blob.Span{}); err == nil || errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Open %q: %v", key, err)
		}
		if _, err := s.Size(t.Context(), key); err == nil || errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Size %q: %v", key, err)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete %q: no error", key)
		}
		if err := s.Discard(t.Context(), key, nil); err == nil {
			t.Errorf("Discard %q: no error", key)
		}
	}
}

func TestSymlinksAreNotFollowed(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := blob.NewKey()
	for _, name := range []string{s.object(key), s.unfinished(key)} {
		if err := os.Symlink(secret, name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open(t.Context(), key, blob.Span{}); err == nil {
		t.Error("Open: no error")
	}
	if _, err := s.Resume(t.Context(), key, []byte("0")); err == nil {
		t.Error("Resume: no error")
	}
	for o, err := range s.All(t.Context()) {
		t.Errorf("All: %+v, %v", o, err)
	}
	if b, err := os.ReadFile(secret); string(b) != "secret" || err != nil {
		t.Errorf("the file behind the link: %q, %v", b, err)
	}
}

func TestAllPassesOverStrangers(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	id := string(blob.NewKey()[3:])
	other := "00"
	if id[:2] == other {
		other = "01"
	}
	for _, name := range []string{
		"unfinished/x", "unfinished/.nfs0001", "unfinished/lost+found", "objects/readme", "objects/00/x",
		"objects/" + other + "/" + id, // no key leads here
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for o, err := range s.All(t.Context()) {
		t.Errorf("All: %+v, %v", o, err)
	}
}

func TestResumeShortFile(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	key, w := begun(t, s, []byte("a long layer"))
	state, err := w.Suspend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.unfinished(key), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), key, state); !errors.Is(err, blob.ErrLost) {
		t.Errorf("Resume: %v; want ErrLost", err)
	}
	for _, state := range []string{"", "x", "-1", "1.5"} {
		if _, err := s.Resume(t.Context(), key, []byte(state)); err == nil || errors.Is(err, blob.ErrLost) {
			t.Errorf("Resume from %q: %v", state, err)
		}
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	s := open(t, t.TempDir(), Options{Reserve: -1})
	_, w := begun(t, s, nil)
	defer w.Close()
	piece := make([]byte, 4096)
	if n := testing.AllocsPerRun(2000, func() {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations a Write", n)
	}
}

// TestDescriptors leaves every call of the store by all its ways out and counts.
func TestDescriptors(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	s := open(t, t.TempDir(), Options{Reserve: -1})
	sync := s.sync
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	before := count()
	for _, ctx := range []context.Context{t.Context(), cancelled} {
		for _, fail := range []error{nil, errBroken} {
			s.sync = func(f *os.File) error { return errors.Join(sync(f), fail) }
			key, w := begun(t, s, []byte("layer"))
			w.Commit(ctx)
			w.Close()
			if r, err := s.Open(t.Context(), key, blob.Span{}); err == nil {
				r.Close()
			}
			key, w = begun(t, s, []byte("layer"))
			w.Suspend(ctx)
			s.Resume(ctx, key, []byte("100"))
			if w, err := s.Resume(ctx, key, []byte("1")); err == nil {
				w.Close()
			}
			_, w = begun(t, s, []byte("layer"))
			w.Close()
			for range s.All(ctx) {
				break
			}
		}
	}
	if after := count(); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}
