package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"
)

// pushBlob brings content into a repository in one of the ways there are. It may also leave an upload half done, to go
// on with it later; pushed is false then.
func (c *client) pushBlob(r *repository, x content) (pushed bool, err error) {
	c.library.add(x)
	if c.rng.IntN(4) == 0 {
		there, err := c.headBlob(r, x.digest)
		if err != nil || there && c.rng.IntN(2) == 0 {
			return there, err
		}
	}
	switch p := c.rng.IntN(10); {
	case p < 3:
		return true, c.postBlob(r, x)
	case p < 6 || x.size < 4*minChunk:
		u, err := c.startUpload(r, x)
		if err != nil {
			return false, err
		}
		return true, u.finish(x.size)
	}
	u, err := c.startUpload(r, x)
	if err != nil {
		return false, err
	}
	if c.rng.IntN(4) == 0 {
		return false, u.patch(c.someBytes(u))
	}
	return true, u.complete()
}

// postBlob is the push in one request.
func (c *client) postBlob(r *repository, x content) error {
	_, err := c.call(request{
		kind:    "POST blob",
		method:  http.MethodPost,
		path:    "/v2/" + r.name + "/blobs/uploads/?digest=" + url.QueryEscape(string(x.digest)),
		header:  octets,
		body:    x.bytes(),
		effects: c.blobArrives(r, x.digest),
		judge:   judgeCreated,
	})
	return err
}

var octets = map[string]string{"Content-Type": "application/octet-stream"}

// blobArrives is what the end of every push of a blob does.
func (c *client) blobArrives(r *repository, d digest.Digest) []change {
	return []change{{c.model.blob(r, d), set, present}, {r.exists, set, present}}
}

func judgeCreated(a response) verdict {
	if a.status == http.StatusCreated {
		return done()
	}
	return unexpected(a)
}

// mountBlob makes a blob of another repository, or of any if from is nil, visible in r.
func (c *client) mountBlob(r, from *repository, d digest.Digest) error {
	query := url.Values{"mount": {string(d)}}
	sources := c.model.blobEverywhere(d)
	if from != nil {
		query.Set("from", from.name)
		sources = []*cell{c.model.blob(from, d)}
	}
	a, err := c.call(request{
		kind:    "POST mount",
		method:  http.MethodPost,
		path:    "/v2/" + r.name + "/blobs/uploads/?" + query.Encode(),
		effects: c.blobArrives(r, d),
		judge: func(a response) verdict {
			switch a.status {
			case http.StatusCreated:
				return done(oneIsThere(sources))
			case http.StatusAccepted:
				return no(areGone(sources))
			}
			return unexpected(a)
		},
	})
	if err != nil || a.status != http.StatusAccepted {
		return err
	}
	// There was nothing to mount, so the registry has opened an upload instead.
	u := &upload{client: c, repo: r, content: c.library.content(d), path: locationOf(a)}
	c.uploads = append(c.uploads, u)
	return u.finish(u.content.size)
}

// headBlob asks whether a blob is there.
func (c *client) headBlob(r *repository, d digest.Digest) (there bool, err error) {
	a, err := c.call(c.blobRequest(http.MethodHead, r, d))
	return a.status == http.StatusOK, err
}

// pullBlob reads a blob and compares it with its digest.
func (c *client) pullBlob(r *repository, d digest.Digest) (there bool, err error) {
	a, err := c.call(c.blobRequest(http.MethodGet, r, d))
	return a.status == http.StatusOK, err
}

func (c *client) blobRequest(method string, r *repository, d digest.Digest) request {
	at, size := c.model.blob(r, d), c.library.content(d).size
	return request{
		kind:   method + " blob",
		method: method,
		path:   "/v2/" + r.name + "/blobs/" + string(d),
		judge: func(a response) verdict {
			switch {
			case a.status == http.StatusNotFound:
				return missing(a, r, "BLOB_UNKNOWN").showing(at, absent)
			case a.status != http.StatusOK:
				return unexpected(a)
			case a.header.Get("Docker-Content-Digest") != string(d):
				return wrong("the answer is about %s", a.header.Get("Docker-Content-Digest"))
			case a.header.Get("Content-Length") != fmt.Sprint(size):
				return wrong("the blob has %d bytes, the answer says %s", size, a.header.Get("Content-Length"))
			case method == http.MethodGet && d.Algorithm().FromBytes(a.pages[0]) != d:
				return wrong("the bytes that arrive have the digest %s", d.Algorithm().FromBytes(a.pages[0]))
			}
			return done().showing(at, present)
		},
	}
}

// pullRange reads a part of a blob.
func (c *client) pullRange(r *repository, x content) error {
	if x.size == 0 {
		return nil
	}
	from := c.rng.IntN(x.size)
	to := from + c.rng.IntN(x.size-from)
	at := c.model.blob(r, x.digest)
	_, err := c.call(request{
		kind:   "GET range",
		method: http.MethodGet,
		path:   "/v2/" + r.name + "/blobs/" + string(x.digest),
		header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", from, to)},
		judge: func(a response) verdict {
			switch {
			case a.status == http.StatusNotFound:
				return missing(a, r, "BLOB_UNKNOWN").showing(at, absent)
			case a.status != http.StatusPartialContent:
				return unexpected(a)
			case !bytes.Equal(a.pages[0], x.bytes()[from:to+1]):
				return wrong("bytes %d to %d are not those of the blob", from, to)
			}
			return done().showing(at, present)
		},
	})
	return err
}

// deleteBlob removes a blob from a repository, which manifests that name it prevent.
func (c *client) deleteBlob(r *repository, d digest.Digest) error {
	at := c.model.blob(r, d)
	_, err := c.call(request{
		kind:    "DELETE blob",
		method:  http.MethodDelete,
		path:    "/v2/" + r.name + "/blobs/" + string(d),
		effects: []change{{at, set, absent}},
		judge: func(a response) verdict {
			return judgeDeleted(a, r, at, c.model.holders(r, d), "BLOB_UNKNOWN")
		},
	})
	return err
}

// judgeDeleted reads the answer to a DELETE of what holders, if they are there, do not let go.
func judgeDeleted(a response, r *repository, at *cell, holders []*cell, code string) verdict {
	switch a.status {
	case http.StatusAccepted:
		return done(isThere(at), all(holders, isGone))
	case http.StatusNotFound:
		return missing(a, r, code).showing(at, absent)
	case http.StatusMethodNotAllowed:
		return no(isThere(at), oneIsThere(holders))
	}
	return unexpected(a)
}

// missing reads a 404: it has the code, or says that there is no such repository. An answer to HEAD says neither.
func missing(a response, r *repository, code string) verdict {
	switch got := a.code(); {
	case got == "NAME_UNKNOWN":
		return no().showing(r.exists, absent)
	case got == code:
		return no().showing(r.exists, present)
	case got == "" && strings.TrimSpace(a.text()) == "":
		return no()
	default:
		return wrong("a 404 with code %q instead of %s: %s", got, code, a.text())
	}
}
