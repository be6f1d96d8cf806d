package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
)

// maxTags is how many tags one PUT may carry. The specification asks for 10 or more.
const maxTags = 100

// getManifest is end-3. What was pushed is served as it is, whatever Accept says:
// every current client takes all types, and a conversion would change the digest.
func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, q request) error {
	warnings := &registry.Warnings{}
	ctx := registry.WithWarnings(r.Context(), warnings)
	if r.Method == http.MethodHead {
		d, err := s.registry.StatManifest(ctx, q.repo, q.reference)
		if err != nil {
			return err
		}
		writeWarnings(w.Header(), warnings.All())
		serveContent(w, r, d, absent(d.Size))
		return nil
	}
	by := auth.PrincipalFrom(r.Context()).IdentityARN(s.opts.Location)
	m, err := s.registry.Manifest(registry.WithPuller(ctx, by), q.repo, q.reference)
	if err != nil {
		return err
	}
	writeWarnings(w.Header(), warnings.All())
	d := registry.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Bytes))}
	serveContent(w, r, d, bytes.NewReader(m.Bytes))
	return nil
}

// putManifest is end-7a and 7b: by tag, by digest, or by digest with any number of
// tags that all move together.
func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, q request) error {
	tags, err := tagsOf(r)
	if err != nil {
		return err
	}
	if err := s.opts.Authorize(r.Context(), auth.PutImage, q.repo); err != nil {
		return err
	}
	size, err := s.reserve(r)
	if err != nil {
		return err
	}
	defer s.manifests.Release(size)
	b, err := s.readManifest(w, r)
	if err != nil {
		return err
	}
	m := registry.Manifest{MediaType: r.Header.Get("Content-Type"), Digest: q.reference.Digest, Bytes: b}
	named := tags
	if q.reference.Tag != "" {
		m.Digest = digest.Canonical.FromBytes(b)
		named = append([]registry.Tag{q.reference.Tag}, tags...)
	}
	content, err := s.registry.PutManifest(r.Context(), q.repo, m, named)
	if err != nil {
		return err
	}
	if content.Subject != nil {
		w.Header().Set("OCI-Subject", content.Subject.Digest.String())
	}
	if len(tags) > 0 {
		list := make([]string, len(tags))
		for i, t := range tags {
			list[i] = string(t)
		}
		w.Header().Set("OCI-Tag", strings.Join(list, ", "))
	}
	writeCreated(w, r, fmt.Sprintf("/v2/%s/manifests/%s", q.repo, m.Digest), m.Digest)
	return nil
}

func tagsOf(r *http.Request) ([]registry.Tag, error) {
	values := r.URL.Query()["tag"]
	if len(values) > maxTags {
		return nil, errTooManyTags
	}
	tags := make([]registry.Tag, len(values))
	for i, value := range values {
		var err error
		if tags[i], err = registry.ParseTag(value); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// reserve takes the memory for a manifest that is about to be read; the caller
// releases it.
func (s *Server) reserve(r *http.Request) (size int64, err error) {
	switch size = r.ContentLength; {
	case size > registry.MaxManifestSize:
		return 0, registry.ErrManifestTooLarge
	case size < 0:
		size = registry.MaxManifestSize
	}
	size = min(size, s.opts.ManifestMemory)
	ctx, cancel := context.WithTimeout(r.Context(), s.opts.StallTimeout)
	defer cancel()
	if err := s.manifests.Acquire(ctx, size); err != nil {
		if r.Context().Err() != nil {
			return 0, r.Context().Err()
		}
		return 0, registry.ErrUnavailable.With("too many large manifests are being pushed; try again shortly")
	}
	return size, nil
}

func (s *Server) readManifest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead) // or ReadFrom would grow it once more
	}
	_, err := b.ReadFrom(io.LimitReader(s.body(w, r), registry.MaxManifestSize+1))
	if err != nil {
		return nil, registry.ErrSizeInvalid.With("the manifest broke off after %d bytes; send it again", b.Len())
	}
	if b.Len() > registry.MaxManifestSize {
		return nil, registry.ErrManifestTooLarge
	}
	return b.Bytes(), nil
}

// deleteManifest is end-9. A tag goes alone, a digest takes its tags with it.
func (s *Server) deleteManifest(w http.ResponseWriter, r *http.Request, q request) error {
	var err error
	if q.reference.Digest != "" {
		err = s.registry.DeleteManifest(r.Context(), q.repo, q.reference.Digest)
	} else {
		err = s.registry.DeleteTag(r.Context(), q.repo, q.reference.Tag)
	}
	if err == nil {
		w.WriteHeader(http.StatusAccepted)
	}
	return err
}
