package main

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// nowhere is a repository to which nobody pushes.
const nowhere = "nobody/pushed/here"

// probe does something that must be refused, with the right status and code, and that must change nothing.
func (c *client) probe(r *repository) error {
	nothing := digest.FromString("nobody pushes this")
	base := "/v2/" + r.name
	probes := []struct {
		method, path string
		header       map[string]string
		body         string
		status       int
		codes        string // one of them; HEAD has none
	}{
		{http.MethodGet, base + "/blobs/" + string(nothing), nil, "", 404, "BLOB_UNKNOWN NAME_UNKNOWN"},
		{http.MethodHead, base + "/blobs/" + string(nothing), nil, "", 404, ""},
		{http.MethodDelete, base + "/blobs/" + string(nothing), nil, "", 404, "BLOB_UNKNOWN NAME_UNKNOWN"},
		{http.MethodGet, base + "/blobs/sha256:short", nil, "", 400, "DIGEST_INVALID"},
		{http.MethodGet, base + "/manifests/nobody-has-this-tag", nil, "", 404, "MANIFEST_UNKNOWN NAME_UNKNOWN"},
		{http.MethodGet, base + "/manifests/" + string(nothing), nil, "", 404, "MANIFEST_UNKNOWN NAME_UNKNOWN"},
		{http.MethodDelete, base + "/manifests/" + string(nothing), nil, "", 404, "MANIFEST_UNKNOWN NAME_UNKNOWN"},
		{http.MethodGet, "/v2/" + nowhere + "/tags/list", nil, "", 404, "NAME_UNKNOWN"},
		{http.MethodGet, "/v2/NOT-a-name/tags/list", nil, "", 400, "NAME_INVALID"},
		{http.MethodGet, base + "/tags/list?n=some", nil, "", 400, "UNSUPPORTED"},
		{http.MethodPost, base + "/blobs/uploads/?digest=" + string(nothing), octets, "other bytes", 400, "DIGEST_INVALID"},
		{http.MethodGet, base + "/blobs/uploads/made-up", nil, "", 404, "BLOB_UPLOAD_UNKNOWN"},
		{http.MethodPatch, base + "/blobs/uploads/made-up", octets, "some bytes", 404, "BLOB_UPLOAD_UNKNOWN"},
		{
			http.MethodPut, base + "/manifests/nobody-has-this-tag",
			map[string]string{"Content-Type": ocispec.MediaTypeImageManifest},
			"{", 400, "MANIFEST_INVALID",
		},
		{
			http.MethodPut, base + "/manifests/nobody-has-this-tag",
			map[string]string{"Content-Type": ocispec.MediaTypeImageManifest},
			`{"schemaVersion":2,"config":{"digest":"` + string(nothing) + `","size":18},"layers":[]}`, 404, "MANIFEST_BLOB_UNKNOWN",
		},
	}
	p := probes[c.rng.IntN(len(probes))]
	_, err := c.call(request{
		kind:   "refused " + p.method,
		method: p.method,
		path:   p.path,
		header: p.header,
		body:   []byte(p.body),
		judge: func(a response) verdict {
			if a.status != p.status || p.codes != "" && !strings.Contains(p.codes, a.code()) {
				return unexpected(a)
			}
			return no()
		},
	})
	return err
}

// probeUpload opens an upload, does what must be refused, and ends it with a digest that is not that of its bytes.
func (c *client) probeUpload(r *repository) error {
	u, err := c.startUpload(r, newContent(c.rng.Uint64(), 64+c.rng.IntN(4096), randomAlgorithm(c.rng)))
	if err != nil {
		return err
	}
	if err := u.patch(32); err != nil {
		return err
	}
	other := c.model.repos[c.rng.IntN(len(c.model.repos))]
	elsewhere := strings.Replace(u.path, "/v2/"+r.name+"/", "/v2/"+other.name+"/", 1)
	refusals := []struct {
		method, path, contentRange string
		status                     int
		code                       string
	}{
		{http.MethodPatch, u.path, "33-34", 416, "BLOB_UPLOAD_INVALID"},
		{http.MethodPatch, u.path, "0-1", 416, "BLOB_UPLOAD_INVALID"},
		{http.MethodPatch, u.path, "nonsense", 400, "BLOB_UPLOAD_INVALID"},
		{http.MethodPut, u.path, "", 400, "DIGEST_INVALID"}, // without a digest
		{http.MethodPut, u.path + "?digest=" + url.QueryEscape(string(digest.FromString("wrong"))), "", 400, "DIGEST_INVALID"},
	}
	if other != r {
		refusals[0].path, refusals[0].status, refusals[0].code = elsewhere, 404, "BLOB_UPLOAD_UNKNOWN"
	}
	for _, q := range refusals {
		header := map[string]string{"Content-Type": octets["Content-Type"]}
		if q.contentRange != "" {
			header["Content-Range"] = q.contentRange
		}
		if _, err := u.refusedWith(q.method, q.path, header, q.status, q.code); err != nil {
			return err
		}
	}
	u.end()
	_, err = u.refusedWith(http.MethodGet, u.path, nil, 404, "BLOB_UPLOAD_UNKNOWN") // it is discarded
	return err
}

// refusedWith sends two bytes, or none with GET, that the registry must refuse.
func (u *upload) refusedWith(method, path string, header map[string]string, status int, code string) (response, error) {
	q := request{kind: "refused " + method, method: method, path: path, header: header, judge: func(a response) verdict {
		if a.status != status || a.code() != code {
			return unexpected(a)
		}
		return no()
	}}
	if method != http.MethodGet {
		q.body = []byte("xx")
	}
	a, err := u.client.call(q)
	if method == http.MethodPut && errors.Is(err, errNoAnswer) {
		u.unanswered(a.op) // it may have been discarded
		if u.several() {
			u.end() // or have taken the wrong bytes
		}
	}
	return a, err
}
