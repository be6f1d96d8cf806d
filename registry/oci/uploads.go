package oci

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// postUpload is end-4a to 4c and end-11: it mounts a blob, takes one that comes with
// the request, or opens an upload.
func (s *Server) postUpload(w http.ResponseWriter, r *http.Request, q request) error {
	query := r.URL.Query()
	if query.Has("mount") {
		d, err := registry.ParseDigest(query.Get("mount"))
		if err != nil {
			return err
		}
		mounted, err := s.mount(w, r, q.repo, query.Get("from"), d)
		if mounted || err != nil {
			return err
		}
	} else if query.Has("digest") {
		return s.postBlob(w, r, q, query.Get("digest"))
	}
	algorithm := digest.Canonical
	if query.Has("digest-algorithm") {
		var err error
		if algorithm, err = registry.ParseAlgorithm(query.Get("digest-algorithm")); err != nil {
			return err
		}
	}
	u, err := s.registry.StartUpload(r.Context(), q.repo, algorithm)
	if err != nil {
		return err
	}
	if s.opts.ChunkMinLength > 0 {
		w.Header().Set("OCI-Chunk-Min-Length", strconv.FormatInt(s.opts.ChunkMinLength, 10))
	}
	writeUpload(w, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount tries to mount d and answers if that works. If there is nothing to mount,
// or nothing the client may see, it goes on to an ordinary upload.
func (s *Server) mount(w http.ResponseWriter, r *http.Request, repo registry.Name, from string, d digest.Digest) (bool, error) {
	var source registry.Name
	if from != "" {
		var err error
		if source, err = registry.ParseName(from); err != nil {
			return false, err
		}
	}
	_, err := s.registry.MountBlob(r.Context(), repo, source, d)
	if errors.Is(err, registry.ErrBlobUnknown) {
		return false, nil
	}
	if err == nil {
		writeCreated(w, r, blobLocation(repo, d), d)
	}
	return err == nil, err
}

// postBlob is end-4b: the whole blob in one request.
func (s *Server) postBlob(w http.ResponseWriter, r *http.Request, q request, value string) error {
	d, err := registry.ParseDigest(value)
	if err != nil {
		return err
	}
	c := registry.Chunk{Offset: 0, Size: r.ContentLength, Body: s.body(w, r)}
	if _, err := s.registry.PutBlob(r.Context(), q.repo, c, d); err != nil {
		return err
	}
	writeCreated(w, r, blobLocation(q.repo, d), d)
	return nil
}

// patchUpload is end-5: the next chunk, or with no Content-Range a stream that goes
// on wherever the upload stands.
func (s *Server) patchUpload(w http.ResponseWriter, r *http.Request, q request) error {
	c, err := s.chunk(w, r)
	if err != nil {
		return err
	}
	u, err := s.registry.AppendUpload(r.Context(), q.repo, q.upload, c)
	if errors.Is(err, registry.ErrRangeInvalid) && u.ID != "" {
		writeUpload(w, u) // so that the client need not ask where to go on
	}
	if err != nil {
		return err
	}
	writeUpload(w, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload is end-6: the last chunk, if any, and the digest of the whole.
func (s *Server) putUpload(w http.ResponseWriter, r *http.Request, q request) error {
	value := r.URL.Query().Get("digest")
	if value == "" {
		return registry.ErrDigestInvalid.With("the request that ends an upload needs ?digest=, the digest of the whole blob")
	}
	d, err := registry.ParseDigest(value)
	if err != nil {
		return err
	}
	c, err := s.chunk(w, r)
	if err != nil {
		return err
	}
	_, err = s.registry.FinishUpload(r.Context(), q.repo, q.upload, c, d)
	if errors.Is(err, registry.ErrRangeInvalid) {
		if u, err := s.registry.Upload(r.Context(), q.repo, q.upload); err == nil {
			writeUpload(w, u) // as above
		}
	}
	if err != nil {
		return err
	}
	writeCreated(w, r, blobLocation(q.repo, d), d)
	return nil
}

// getUpload is end-13.
func (s *Server) getUpload(w http.ResponseWriter, r *http.Request, q request) error {
	u, err := s.registry.Upload(r.Context(), q.repo, q.upload)
	if err != nil {
		return err
	}
	writeUpload(w, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteUpload is end-14.
func (s *Server) deleteUpload(w http.ResponseWriter, r *http.Request, q request) error {
	if err := s.registry.CancelUpload(r.Context(), q.repo, q.upload); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// chunk is the body of a PATCH or PUT.
func (s *Server) chunk(w http.ResponseWriter, r *http.Request) (registry.Chunk, error) {
	c := registry.Chunk{Offset: -1, Size: r.ContentLength, Body: s.body(w, r)}
	value := r.Header.Get("Content-Range")
	if value == "" {
		return c, nil
	}
	first, last, err := parseContentRange(value)
	if err != nil {
		return c, err
	}
	size := last - first + 1
	if c.Size >= 0 && c.Size != size {
		return c, registry.ErrSizeInvalid.With("Content-Range %q says %d bytes, Content-Length says %d", value, size, c.Size)
	}
	c.Offset, c.Size = first, size
	return c, nil
}

// parseContentRange reads FIRST-LAST, both inclusive. The specification leaves out
// the unit and the total that RFC 9110 has.
func parseContentRange(s string) (first, last int64, err error) {
	a, b, found := strings.Cut(s, "-")
	if found {
		first, err = parseOffset(a)
		if err == nil {
			last, err = parseOffset(b)
		}
	}
	if !found || err != nil || last < first {
		return 0, 0, registry.ErrUploadInvalid.With("Content-Range %q is not valid; it should be FIRST-LAST, the positions of the chunk's first and last byte", s)
	}
	return first, last, nil
}

// parseOffset reads digits only, where strconv would take a sign.
func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err
}

// writeUpload says where an upload is and how far it has come. The range of an empty
// one is 0-0, as Docker's registry has always had it.
func writeUpload(w http.ResponseWriter, u registry.Upload) {
	h := w.Header()
	h.Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/%s", u.Repo, u.ID))
	h.Set("Range", fmt.Sprintf("0-%d", max(0, u.Offset-1)))
	h.Set("Docker-Upload-UUID", string(u.ID))
}

// writeCreated answers for a blob or manifest that is now there, with the warnings there
// were.
func writeCreated(w http.ResponseWriter, r *http.Request, location string, d digest.Digest) {
	h := w.Header()
	if warnings := registry.WarningsFrom(r.Context()); warnings != nil {
		writeWarnings(h, warnings.All())
	}
	h.Set("Location", location)
	h.Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
}

// writeWarnings adds warnings as the specification has them.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#warnings
func writeWarnings(h http.Header, texts []string) {
	const most = 4096 // bytes of all of them together
	size := 0
	for _, text := range texts {
		value := `299 - "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		if size += len(value); size <= most {
			h.Add("Warning", value)
		}
	}
}
