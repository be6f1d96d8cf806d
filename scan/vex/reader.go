package vex

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// maxDocuments is how many documents of one manifest are read: older versions of cosign put
// all attestations of an image into one.
const maxDocuments = 100

// Store keeps what documents say; storage/meta implements it.
type Store interface {
	// ArchivedManifest returns a manifest without counting that as a pull.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	ArchivedManifest(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Manifest, error)

	// TagsOf lists the tags of a manifest. Errors: ErrNameUnknown.
	TagsOf(ctx context.Context, repo registry.Name, d digest.Digest) ([]registry.Tag, error)

	// PutVEX replaces the documents of a manifest, if that is still there.
	PutVEX(ctx context.Context, repo registry.Name, manifest digest.Digest, documents []scan.VEXDocument) error
}

// Blobs opens blobs.
type Blobs interface {
	// OpenBlob is that of [registry.Reader].
	OpenBlob(ctx context.Context, repo registry.Name, d digest.Digest, span registry.Span) (registry.Blob, error)
}

// Reader reads documents that were pushed.
type Reader struct {
	store Store
	blobs Blobs
}

// NewReader returns a reader that reads blobs and keeps in s what they say.
func NewReader(s Store, blobs Blobs) *Reader { return &Reader{s, blobs} }

// Jobs are the handlers of jobs that read documents.
func (r *Reader) Jobs() map[string]queue.Handler {
	return map[string]queue.Handler{scan.VEXJob: queue.Handle(r.Read)}
}

// Read reads the documents of a manifest. What cannot be read for what it is is kept with the
// reason; what is gone is none.
func (r *Reader) Read(ctx context.Context, p scan.VEXPayload) error {
	m, err := r.store.ArchivedManifest(ctx, p.Repository, p.Digest)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return queue.Permanent(err)
	}
	tags, err := r.store.TagsOf(ctx, p.Repository, p.Digest)
	if err != nil && !gone(err) {
		return err
	}
	subject, tag := scan.VEXSubject(content, tags)
	if subject == "" {
		return nil
	}
	documents := []scan.VEXDocument{}
	for _, layer := range scan.VEXLayers(content) {
		doc, err := r.document(ctx, p.Repository, layer, subject)
		switch {
		case errors.Is(err, ErrNoVEX):
			continue
		case gone(err):
			return nil
		case err != nil:
			return err
		}
		doc.Digest, doc.Blob, doc.Subject, doc.Tag = p.Digest, layer.Digest, subject, tag
		if documents = append(documents, doc); len(documents) == maxDocuments {
			break
		}
	}
	err = r.store.PutVEX(ctx, p.Repository, p.Digest, documents)
	if gone(err) {
		return nil
	}
	return err
}

// document reads one document. Errors: ErrNoVEX, and those of the registry; what is wrong with
// the document itself stands in it.
func (r *Reader) document(ctx context.Context, repo registry.Name, layer registry.Descriptor, subject digest.Digest) (scan.VEXDocument, error) {
	if layer.Size > scan.MaxVEX {
		return scan.VEXDocument{Error: fmt.Sprintf("the document has %d bytes; at most %d are read", layer.Size, scan.MaxVEX)}, nil
	}
	b, err := r.read(ctx, repo, layer.Digest)
	if err != nil {
		return scan.VEXDocument{}, err
	}
	doc, err := Parse(b, func(algorithm, hex string) bool {
		return algorithm == subject.Algorithm().String() && hex == subject.Encoded()
	})
	if err != nil && !errors.Is(err, ErrNoVEX) {
		doc.Statements, doc.Error = nil, clean(err.Error())
		err = nil
	}
	return doc, err
}

// read reads a blob, and one byte more than is allowed if it has them.
func (r *Reader) read(ctx context.Context, repo registry.Name, d digest.Digest) (b []byte, err error) {
	blob, err := r.blobs.OpenBlob(ctx, repo, d, registry.Span{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blob.Content.Close()) }()
	return io.ReadAll(io.LimitReader(blob.Content, scan.MaxVEX+1))
}

// gone reports whether something was deleted meanwhile.
func gone(err error) bool {
	return errors.Is(err, registry.ErrNameUnknown) || errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrBlobUnknown)
}
