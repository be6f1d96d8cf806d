package database

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// layer brings the layer of an artifact into a repository: it is checked while it streams,
// and becomes a blob only if it is as it should be and accept has nothing against it.
func (i *Importer) layer(ctx context.Context, repo registry.Name, a *Artifact, accept func(Metadata) error) (Metadata, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	content, err := a.open(ctx)
	if err != nil {
		return Metadata{}, err
	}
	defer content.Close()
	r := newCheckedLayer(ctx, content, a, accept)
	defer r.end()
	if a.From != "" {
		return i.mount(ctx, repo, a, r)
	}
	u, err := i.Registry.StartUpload(ctx, repo, r.algorithm)
	if err != nil {
		return Metadata{}, err
	}
	_, err = i.Registry.AppendUpload(ctx, repo, u.ID, registry.Chunk{Size: -1, Body: r})
	if r.err != nil {
		err = r.err // what the registry says of it is less
	}
	if err == nil {
		_, err = i.Registry.FinishUpload(ctx, repo, u.ID, registry.Chunk{Offset: -1}, r.digest())
	}
	if err != nil {
		cleanup := i.Registry.CancelUpload(context.WithoutCancel(ctx), repo, u.ID)
		if errors.Is(cleanup, registry.ErrUploadUnknown) {
			cleanup = nil
		}
		return Metadata{}, errors.Join(err, cleanup)
	}
	a.Layer.Digest, a.Layer.Size = r.digest(), r.received
	return r.metadata, nil
}

// mount checks a layer that is in the registry, and makes it visible in repo.
func (i *Importer) mount(ctx context.Context, repo registry.Name, a *Artifact, r *checkedLayer) (Metadata, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return Metadata{}, err
	}
	if a.From == repo {
		return r.metadata, nil
	}
	_, err := i.Registry.MountBlob(ctx, repo, a.From, a.Layer.Digest)
	return r.metadata, err
}

// checkedLayer is a layer that is checked as it is read. It ends with an error instead of
// io.EOF if it is not what it should be.
type checkedLayer struct {
	ctx       context.Context
	content   io.Reader
	accept    func(Metadata) error
	want      registry.Descriptor // without digest if it is not known
	algorithm digest.Algorithm

	hash     hash.Hash
	received int64
	err      error
	metadata Metadata // when it has ended well

	check   *io.PipeWriter // what is read goes to Check
	checked chan error     // what Check says; result puts it back, for end
}

func newCheckedLayer(ctx context.Context, content io.Reader, a *Artifact, accept func(Metadata) error) *checkedLayer {
	reader, writer := io.Pipe()
	r := &checkedLayer{
		ctx: ctx, content: content, accept: accept, want: a.Layer, algorithm: digest.SHA256,
		check: writer, checked: make(chan error, 1),
	}
	if a.Layer.Digest != "" {
		r.algorithm = a.Layer.Digest.Algorithm()
	}
	r.hash = r.algorithm.Hash()
	go func() {
		m, err := Check(reader, a.Kind)
		r.metadata = m
		// Whatever is still written meets the end of the check.
		reader.CloseWithError(errChecked)
		r.checked <- err
	}()
	return r
}

var errChecked = errors.New("the check has ended")

// end waits for the check.
func (r *checkedLayer) end() {
	r.check.CloseWithError(errChecked)
	<-r.checked
}

// result is that of the check, which end may still ask for.
func (r *checkedLayer) result() error {
	err := <-r.checked
	r.checked <- err
	return err
}

// Read implements [io.Reader].
func (r *checkedLayer) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if err := context.Cause(r.ctx); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.content.Read(p)
	r.hash.Write(p[:n])
	r.received += int64(n)
	_, broken := r.check.Write(p[:n])
	switch {
	case n > 0 && broken != nil:
		if broken = r.result(); broken == nil {
			broken = errors.New("something follows the database")
		}
		r.err = r.bad(broken)
	case r.want.Digest != "" && r.received > r.want.Size:
		r.err = r.bad(fmt.Errorf("there are more than the %d bytes that the manifest tells of", r.want.Size))
	case err == io.EOF:
		if r.err = r.ended(); r.err == nil {
			return n, io.EOF
		}
	case err != nil:
		r.err = fmt.Errorf("the database broke off after %d bytes: %w", r.received, err)
	default:
		return n, nil
	}
	return 0, r.err
}

// ended judges all that has arrived.
func (r *checkedLayer) ended() error {
	if r.want.Digest != "" && (r.received != r.want.Size || r.digest() != r.want.Digest) {
		return r.bad(fmt.Errorf("%d bytes arrived with the digest %s, and should be %d with %s: they were damaged or cut off on their way",
			r.received, r.digest(), r.want.Size, r.want.Digest))
	}
	r.check.Close()
	if err := r.result(); err != nil {
		return r.bad(err)
	}
	return r.accept(r.metadata)
}

// bad is an error of the check.
func (r *checkedLayer) bad(err error) error { return fmt.Errorf("the database is not taken: %w", err) }

func (r *checkedLayer) digest() digest.Digest { return digest.NewDigest(r.algorithm, r.hash) }
