package registrytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing/iotest"

	"berth/registry"
)

// brokenOff is a chunk of b that breaks off at to.
func brokenOff(b Blob, from, to int) registry.Chunk {
	c := b.Part(from, len(b.Bytes))
	c.Body = io.MultiReader(bytes.NewReader(b.Bytes[from:to]), iotest.ErrReader(io.ErrUnexpectedEOF))
	return c
}

// slowBody stops after its first byte until goOn is closed.
type slowBody struct {
	bytes   []byte
	at      int
	started chan struct{} // closed when the first byte is read
	goOn    chan struct{}
}

func newSlowBody(b []byte) *slowBody {
	return &slowBody{bytes: b, started: make(chan struct{}), goOn: make(chan struct{})}
}

func (s *slowBody) Read(p []byte) (int, error) {
	switch s.at {
	case 0:
		close(s.started)
		p = p[:1]
	case 1:
		<-s.goOn
	case len(s.bytes):
		return 0, io.EOF
	}
	n := copy(p, s.bytes[s.at:])
	s.at += n
	return n, nil
}

// testUploadKeepsWhatArrived breaks off with the connection, as a client does that
// goes away: the context ends too.
func testUploadKeepsWhatArrived(x *suite) {
	b := NewBlob(1, 600_000)
	id := x.start(repo, b)
	at := 0
	for _, to := range []int{0, 1, 5000, 400_000, 400_000} {
		ctx, cancel := context.WithCancel(x.ctx)
		c := brokenOff(b, at, to)
		c.Body = &cancelling{c.Body, cancel}
		u, err := x.AppendUpload(ctx, repo, id, c)
		x.want("AppendUpload of a body that breaks off", err, registry.ErrSizeInvalid)
		if u.ID != id || u.Offset != int64(to) {
			x.Fatalf("AppendUpload says that %s stands at %d, want %s at %d", u.ID, u.Offset, id, to)
		}
		x.wantOffset(repo, id, to)
		at = to
	}
	_, err := x.FinishUpload(x.ctx, repo, id, b.Part(at, len(b.Bytes)), b.Digest)
	x.want("FinishUpload", err, nil)
	x.wantBlob(repo, b)
}

// cancelling ends a context at the first error of a body.
type cancelling struct {
	io.Reader
	cancel context.CancelFunc
}

func (c *cancelling) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != nil {
		c.cancel()
	}
	return n, err
}

func testUploadKeepsWhatArrivedInTheEnd(x *suite) {
	for i, size := range sizes {
		into := registry.Name(fmt.Sprint("r", i))
		b := NewBlob(1, size)
		id := x.start(into, b)
		_, err := x.FinishUpload(x.ctx, into, id, brokenOff(b, 0, 600), b.Digest)
		x.want("FinishUpload of a body that breaks off", err, registry.ErrSizeInvalid)
		x.wantNoBlob(into, b, registry.ErrNameUnknown)
		x.wantOffset(into, id, 600)
		_, err = x.FinishUpload(x.ctx, into, id, b.Part(600, size), b.Digest)
		x.want("FinishUpload", err, nil)
		x.wantBlob(into, b)
	}
}

func testUploadKeepsNote(x *suite) {
	for _, size := range sizes {
		b := NewBlob(1, size)
		id := x.start(repo, b)
		noted := func(c registry.Chunk, note, want string) error {
			x.Helper()
			c.Note = note
			sent, err := x.AppendUpload(x.ctx, repo, id, c)
			stands, unknown := x.Upload(x.ctx, repo, id)
			x.want("Upload", unknown, nil)
			if sent.Note != want || stands.Note != want {
				x.Errorf("after the note %q AppendUpload says %q and Upload %q, want %q", note, sent.Note, stands.Note, want)
			}
			return err
		}
		x.want("AppendUpload", noted(b.Part(0, 100), "", ""), nil)
		x.want("AppendUpload", noted(b.Part(100, 200), "first", "first"), nil)
		x.want("AppendUpload elsewhere", noted(b.Part(100, 200), "no", "first"), registry.ErrRangeInvalid)
		x.want("AppendUpload that breaks off", noted(brokenOff(b, 200, 300), "no", "first"), registry.ErrSizeInvalid)
		x.want("AppendUpload", noted(b.Part(300, 400), "", "first"), nil)
		x.want("AppendUpload", noted(b.Part(400, size), "second", "second"), nil)
		_, err := x.FinishUpload(x.ctx, repo, id, b.Part(size, size), b.Digest)
		x.want("FinishUpload", err, nil)
		x.wantBlob(repo, b)
	}
}
