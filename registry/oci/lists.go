package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"berth/registry"
)

const (
	defaultPage = 1000   // entries when the client does not say how many
	maxPage     = 10_000 // entries when it asks for more
)

// getTags is end-8.
func (s *Server) getTags(w http.ResponseWriter, r *http.Request, q request) error {
	p, err := parsePage(r)
	if err != nil {
		return err
	}
	tags, err := s.registry.Tags(r.Context(), q.repo, registry.Tag(p.last), p.limit+1)
	if err != nil {
		return err
	}
	tags, last := cut(tags, p.limit)
	p.link(w, r, string(last))
	return writeJSON(w, struct {
		Name registry.Name  `json:"name"`
		Tags []registry.Tag `json:"tags"`
	}{q.repo, tags})
}

// getCatalog lists repositories. The specification has dropped it; clients have not.
func (s *Server) getCatalog(w http.ResponseWriter, r *http.Request, _ request) error {
	p, err := parsePage(r)
	if err != nil {
		return err
	}
	names, err := s.registry.Repositories(r.Context(), registry.Name(p.last), p.limit+1)
	if err != nil {
		return err
	}
	names, last := cut(names, p.limit)
	p.link(w, r, string(last))
	return writeJSON(w, struct {
		Repositories []registry.Name `json:"repositories"`
	}{names})
}

// getReferrers is end-12. It never answers 404: clients would conclude that the
// registry cannot list referrers, and keep lists of their own under tags.
func (s *Server) getReferrers(w http.ResponseWriter, r *http.Request, q request) error {
	p, err := parsePage(r)
	if err != nil {
		return err
	}
	find := registry.ReferrersQuery{Subject: q.reference.Digest, Limit: max(1, p.limit)}
	if p.last != "" {
		if find.Last, err = registry.ParseDigest(p.last); err != nil {
			return err
		}
	}
	if kind := r.URL.Query().Get("artifactType"); kind != "" {
		if !isText(kind) {
			return registry.ErrPageInvalid.With("artifactType=%q is no type", registry.Clip(kind))
		}
		find.ArtifactTypes = []string{kind}
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	list, more, err := s.registry.Referrers(r.Context(), q.repo, find)
	if err != nil && !errors.Is(err, registry.ErrNameUnknown) {
		return err
	}
	if more {
		p.link(w, r, list[len(list)-1].Digest.String())
	}
	w.Header().Set("Content-Type", registry.MediaTypeImageIndex)
	return writeBody(w, indexOf(list))
}

// indexOf is the image index that lists referrers. Their descriptors are JSON already.
func indexOf(list []registry.Referrer) []byte {
	size := 200
	for _, r := range list {
		size += len(r.JSON) + 1
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.WriteString(`{"schemaVersion":2,"mediaType":"` + registry.MediaTypeImageIndex + `","manifests":[`)
	for i, r := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(r.JSON)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// page is the part of a list that a client asks for.
type page struct {
	limit int
	last  string
}

func parsePage(r *http.Request) (page, error) {
	query := r.URL.Query()
	p := page{limit: defaultPage, last: query.Get("last")}
	if !isText(p.last) {
		return p, registry.ErrPageInvalid.With("last=%q is no entry of a list", registry.Clip(p.last))
	}
	if value := query.Get("n"); value != "" {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return p, registry.ErrPageInvalid.With("n=%q is not a number of entries", value)
		}
		p.limit = int(min(n, maxPage))
	}
	return p, nil
}

// isText reports whether every database can compare s with what it keeps.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// cut takes what is over the limit off a list and names the entry to go on after,
// if there is more. The list it returns is never nil, so that JSON has [].
func cut[T ~string](list []T, limit int) (_ []T, last T) {
	if len(list) > limit {
		list = list[:limit]
		if limit > 0 {
			last = list[limit-1]
		}
	}
	if list == nil {
		list = []T{}
	}
	return list, last
}

// link tells where the list goes on, RFC 5988, unless last is empty.
func (p page) link(w http.ResponseWriter, r *http.Request, last string) {
	if last == "" {
		return
	}
	query := r.URL.Query()
	query.Set("last", last)
	query.Set("n", strconv.Itoa(p.limit))
	next := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
	w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.String()))
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return writeBody(w, b)
}

func writeBody(w http.ResponseWriter, b []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, err := w.Write(b)
	return err
}
