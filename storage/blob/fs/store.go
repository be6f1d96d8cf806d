// Package fs keeps objects as files on a disk.
//
//	<dir>/unfinished/<id>     suspended, going on after that, or abandoned
//	<dir>/objects/ab/<id>     committed
//
// A file has no name until it is suspended or whole, where the file system can do
// that (O_TMPFILE). It is linked or renamed into objects, so both folders must lie on
// one file system. There is no index, no lock and nothing to repair
// at the start: which files there are is all the state there is. Several processes
// may use one folder.
//
// The package is spared to know what a full disk means for anybody else: it leaves
// some room ([Options.Reserve]) so that a database on the same disk goes on working,
// and answers [blob.ErrFull] to whoever wants to write more.
package fs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"berth/storage/blob"
)

// DefaultReserve is what [Options.Reserve] means when it is zero.
const DefaultReserve = 64 << 20

// Options are the choices [Open] leaves to its caller. The zero value is a good one.
type Options struct {
	// Reserve is how many bytes of the file system are left free, so that a database
	// beside the objects can still write, if only to record what is deleted. Zero means
	// DefaultReserve; negative means none. It is a guard, not a quota: writes that are
	// under way at the same moment may dig into it by their own size.
	Reserve int64

	// FreeSpace says how many bytes can be written to the file system of dir. Nil asks
	// the system; a test may say what it likes.
	FreeSpace func(dir string) (int64, error)
}

// Store is a [blob.Store] in a folder.
type Store struct {
	dir   string
	space space
	sync  func(*os.File) error // (*os.File).Sync; a test makes it fail

	unnamed bool // the file system has files without names
}

var (
	_ blob.Store  = (*Store)(nil)
	_ blob.Roomer = (*Store)(nil)
)

// Open returns the store in dir and makes what folders are missing.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	s := &Store{
		dir:   dir,
		space: space{dir: dir, reserve: max(o.Reserve, 0), free: o.FreeSpace},
		sync:  (*os.File).Sync,
	}
	if err := s.makeFolders(); err != nil {
		return nil, fault("open the store", err)
	}
	s.unnamed = s.hasUnnamed()
	return s, nil
}

// hasUnnamed tries it out: some file systems cannot make such files, and some
// containers have no /proc, which naming them takes.
func (s *Store) hasUnnamed() bool {
	folder := filepath.Join(s.dir, unfinishedFolder)
	file, err := createUnnamed(folder)
	if err != nil {
		return false
	}
	defer file.Close()
	name := filepath.Join(folder, "probe-"+rand.Text()) // several processes may look at once
	return giveName(file, name) == nil && os.Remove(name) == nil
}

// Create begins a file, without a name if that can be.
func (s *Store) Create(ctx context.Context, key blob.Key) (blob.Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	if err := s.space.ask(1); err != nil {
		return nil, err
	}
	if s.unnamed {
		// An earlier attempt may have been suspended without anybody's noting it.
		if err := remove(s.unfinished(key)); err != nil {
			return nil, err
		}
		file, err := createUnnamed(s.dir + "/" + unfinishedFolder)
		if err != nil {
			return nil, fault("create", err)
		}
		return &writer{store: s, key: key, file: file}, nil
	}
	file, err := os.OpenFile(s.unfinished(key), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault("create", err)
	}
	return &writer{store: s, key: key, file: file, named: true}, nil
}

// Resume goes on with a file in unfinished. It does not ask for room: whoever only
// comes to commit needs none, and Write asks.
func (s *Store) Resume(ctx context.Context, key blob.Key, state []byte) (blob.Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(string(state), 10, 64)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("blob/fs: %q is not the state of a suspended object", state)
	}
	file, err := os.OpenFile(s.unfinished(key), os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no file", blob.ErrLost, key)
	}
	if err != nil {
		return nil, fault("resume", err)
	}
	if err := rewind(file, size); err != nil {
		file.Close()
		return nil, err
	}
	return &writer{store: s, key: key, file: file, size: size, named: true, kept: true}, nil
}

// rewind cuts file off at size and goes there.
func rewind(file *os.File, size int64) error {
	info, err := file.Stat()
	if err != nil {
		return fault("resume", err)
	}
	if info.Size() < size {
		return fmt.Errorf("%w: %s has %d bytes of %d", blob.ErrLost, file.Name(), info.Size(), size)
	}
	if info.Size() > size {
		if err := file.Truncate(size); err != nil {
			return fault("resume", err)
		}
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return fault("resume", err)
	}
	return nil
}

// Discard removes a file from unfinished. Where it ended does not matter.
func (s *Store) Discard(ctx context.Context, key blob.Key, _ []byte) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	return remove(s.unfinished(key))
}

// Open opens a file of objects. The result is an *os.File.
func (s *Store) Open(ctx context.Context, key blob.Key, _ blob.Span) (io.ReadSeekCloser, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(s.object(key), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, missing("open", key, err)
	}
	return file, nil
}

// Size asks for the size of a file of objects.
func (s *Store) Size(ctx context.Context, key blob.Key) (int64, error) {
	if err := begin(ctx, key); err != nil {
		return 0, err
	}
	info, err := os.Lstat(s.object(key))
	if err != nil {
		return 0, missing("size", key, err)
	}
	return info.Size(), nil
}

// Delete removes a file from objects. The folder is not synced: should the power
// fail in the next seconds, the file may be back, as garbage that nothing names and
// a walk through [Store.All] finds.
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	return remove(s.object(key))
}

// Room implements [blob.Roomer]: the reserve is kept free of a database on the same
// disk too.
func (s *Store) Room(ctx context.Context, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.space.take(n)
}

// begin is what every call starts with. Keys come from the database and are trusted,
// but a key that is none must not become the name of some other file.
func begin(ctx context.Context, key blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := blob.ParseKey(string(key))
	return err
}
