package oci

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// getBlob is end-2, with ranges and conditions as RFC 9110 has them.
func (s *Server) getBlob(w http.ResponseWriter, r *http.Request, q request) error {
	if s.opts.Redirect != nil && s.opts.Redirect(r) {
		url, err := s.registry.BlobURL(r.Context(), q.repo, q.reference.Digest)
		if err == nil {
			w.Header().Set("Docker-Content-Digest", q.reference.Digest.String())
			w.Header().Set("Location", url)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return nil
		}
		if !errors.Is(err, registry.ErrUnsupported) {
			return err
		}
	}
	b, err := s.registry.OpenBlob(r.Context(), q.repo, q.reference.Digest, wanted(r))
	if err != nil {
		return err
	}
	defer b.Content.Close()
	serveContent(w, r, b.Descriptor, b.Content)
	return nil
}

// headBlob is end-2 without the bytes.
func (s *Server) headBlob(w http.ResponseWriter, r *http.Request, q request) error {
	d, err := s.registry.StatBlob(r.Context(), q.repo, q.reference.Digest)
	if err != nil {
		return err
	}
	serveContent(w, r, d, absent(d.Size))
	return nil
}

// deleteBlob is end-10.
func (s *Server) deleteBlob(w http.ResponseWriter, r *http.Request, q request) error {
	if err := s.registry.DeleteBlob(r.Context(), q.repo, q.reference.Digest); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// badDigest answers for a blob whose digest has no colon. parseRequest has refused
// it already.
func (s *Server) badDigest(_ http.ResponseWriter, _ *http.Request, q request) error {
	return registry.ErrDigestInvalid.With("%q is not a digest", q.reference)
}

// serveContent answers with content that never changes under its digest.
func serveContent(w http.ResponseWriter, r *http.Request, d registry.Descriptor, content io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", d.MediaType)
	h.Set("Docker-Content-Digest", d.Digest.String())
	h.Set("ETag", `"`+d.Digest.String()+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
}

// absent stands for content of which only the size is asked.
func absent(size int64) io.ReadSeeker { return io.NewSectionReader(nil, 0, size) }

func blobLocation(repo registry.Name, d digest.Digest) string {
	return fmt.Sprintf("/v2/%s/blobs/%s", repo, d)
}
