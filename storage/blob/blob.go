// Package blob keeps immutable bytes under keys that are used once.
//
// It has not heard of repositories, tags, manifests or digests. A [Store] is handed
// bytes for a new key and answers with them later; what they mean is decided one
// floor up. The drivers are next door: fs on a disk, s3 in a bucket, mem in a map.
// blobtest says what every driver must do.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// What a driver can answer besides faults of its own.
var (
	ErrNotExist = errors.New("blob: no such object")
	ErrFull     = errors.New("blob: storage is full")
	ErrTooLarge = errors.New("blob: the object is larger than storage takes")
	// ErrLost says that the bytes of a suspended write are not all there any more.
	ErrLost = errors.New("blob: unfinished object is gone")
	// ErrUnavailable says that the store cannot be reached, or asks for patience; the
	// same call may succeed later.
	ErrUnavailable = errors.New("blob: storage is not available")
	// ErrYield asks a writer whose bytes come slowly for the memory it holds, which
	// others wait for: Suspend, and Resume to go on.
	ErrYield = errors.New("blob: the writer has to make room")
)

// Key names an object: two hexadecimal digits that spread objects over folders, a
// slash, and 32 more that nobody else will use.
type Key string

// NewKey makes a key. It is never made from content, so an object that is being
// deleted and the same bytes pushed again cannot meet.
func NewKey() Key {
	var id [16]byte
	rand.Read(id[:]) // never fails
	s := hex.EncodeToString(id[:])
	return Key(s[:2] + "/" + s)
}

// ParseKey checks that s is a key, and so is safe as the name of a file.
func ParseKey(s string) (Key, error) {
	if len(s) != 35 || s[2] != '/' || s[:2] != s[3:5] || strings.Trim(s[3:], "0123456789abcdef") != "" {
		return "", fmt.Errorf("blob: %q is not a key", s)
	}
	return Key(s), nil
}

// Span is a part of an object. The zero Span is all of it.
type Span struct {
	Offset int64
	Length int64 // zero: to the end
}

// Store keeps objects. It is safe for concurrent use; a single key has one writer
// at a time, which the caller sees to.
//
// A context covers the call it is given to, not the [Writer] or reader the call
// returns. A call whose context is done before it starts answers the context's
// error and changes nothing. Any call may answer ErrUnavailable.
type Store interface {
	// Create begins the object of key. Nothing can be read under key before Commit.
	// A caller that died before it had noted anything begins again: what its first
	// attempt left under key is replaced, by Commit at the latest. If that attempt was
	// committed, a driver may instead answer Commit with ErrLost, or succeed if the bytes
	// are the same. Errors: ErrFull.
	Create(ctx context.Context, key Key) (Writer, error)

	// Resume continues the object of key where [Writer.Suspend] left it; whatever was
	// written after that is cut off. state is of any Suspend whose bytes have not been
	// cut off, not just the last: a caller that dies before it has noted the last one
	// goes on from the one before. Errors: ErrLost (also if the object is committed or
	// discarded; a driver that cannot tell without asking a server may leave the
	// answer to Suspend and Commit), ErrFull.
	Resume(ctx context.Context, key Key, state []byte) (Writer, error)

	// Discard frees what an unfinished object holds. state is that of the last
	// Suspend, or nil if none is known. An object that is committed, or was never
	// begun, is left alone without an error.
	Discard(ctx context.Context, key Key, state []byte) error

	// Open opens a committed object for reading from its beginning on; on a disk the
	// result is an *os.File. span is what the caller means to read, so that a driver need
	// not ask a server for more; a Seek elsewhere may cost another request. One beyond
	// the end is no error. Errors: ErrNotExist.
	Open(ctx context.Context, key Key, span Span) (io.ReadSeekCloser, error)

	// Size is the number of bytes of a committed object. Errors: ErrNotExist.
	Size(ctx context.Context, key Key) (int64, error)

	// Delete removes a committed object. One that is not there is no error, one that is
	// unfinished is left alone. Who has begun to read the object may read on to its end.
	Delete(ctx context.Context, key Key) error

	// All yields every object, in no order, for checks that walk the whole store. What
	// comes, goes or is committed meanwhile may be missed or seen twice; an unfinished
	// object may be missed while none of its bytes have reached the store.
	// After an error it yields nothing more.
	All(ctx context.Context) iter.Seq2[Object, error]
}

// Presigner is a store whose objects can be fetched elsewhere too.
type Presigner interface {
	// Presign returns a URL at which anybody can fetch a committed object until it
	// expires. Whether the object is there is not looked at.
	Presign(ctx context.Context, key Key, expires time.Duration) (string, error)
}

// Files is a store that also keeps files under names that people give them, such as
// backups. They are no objects.
type Files interface {
	// PutFile stores what r has to its end under name, or nothing. What was there goes.
	PutFile(ctx context.Context, name string, r io.Reader) error
	// OpenFile opens a file. Errors: ErrNotExist.
	OpenFile(ctx context.Context, name string) (io.ReadCloser, error)
	// Files lists the names of all files, in order.
	Files(ctx context.Context) ([]string, error)
}

// Roomer is what a [Store] may be besides, if it keeps part of its storage free. Others
// that write to the same storage, such as a database beside the objects, ask it first.
type Roomer interface {
	// Room reports whether there is room for n bytes that the store itself does not
	// write. Errors: ErrFull.
	Room(ctx context.Context, n int64) error
}

// Room asks s for room for n bytes. There is always some if s cannot tell.
func Room(ctx context.Context, s Store, n int64) error {
	if r, ok := s.(Roomer); ok {
		return r.Room(ctx, n)
	}
	return nil
}

// Sweeper is a store in which a writer that dies can leave behind what no state tells of.
type Sweeper interface {
	// Unfinished yields the unfinished objects, as All does, without a walk over the
	// others. An object that was committed nevertheless may be among them: what somebody
	// else had begun of it, which Discard removes.
	Unfinished(ctx context.Context) iter.Seq2[Object, error]
}

// Object is an entry of [Store.All].
type Object struct {
	Key       Key
	Size      int64     // of an unfinished object: what has reached the store, suspended or not
	Committed bool      // false for an object that is being written or was abandoned
	ChangedAt time.Time // when bytes last arrived
}

// Writer writes one object, for one goroutine. It ends with exactly one of Suspend,
// Commit or Close, whether they succeed or not; a Close after that does nothing, so
// it can be deferred, and anything else is an error.
type Writer interface {
	// Write appends. After a short write the error tells why, ErrFull among others,
	// and the bytes that were counted are kept: Suspend and, once there is room, Write
	// go on after them. After ErrYield, Suspend comes next.
	io.Writer

	// Suspend makes what was written durable and ends this writer. The state it
	// returns lets [Store.Resume] go on, in this process or another. After ErrFull or
	// ErrUnavailable, and if the context was done, earlier states are as good as after
	// Close; after any other error they may be lost. Errors: ErrLost.
	Suspend(ctx context.Context) (state []byte, err error)

	// Commit makes the object whole, durable and readable. After an error nothing is to
	// be read under the key, and of earlier states the same holds as for Suspend. Who
	// cannot tell an error from success, as after a crash or ErrUnavailable, has to
	// delete as well as discard the object, or commits once more. Errors: ErrLost.
	Commit(ctx context.Context) error

	// Close lets go of the writer. Bytes written since the last Suspend are lost, the
	// rest stays resumable; without a Suspend nothing of the object is left.
	Close() error
}
