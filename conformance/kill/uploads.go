package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/opencontainers/go-digest"
)

// minChunk is the least that is sent in a PATCH. One byte is too little: an upload that has one and one that has none
// both say "Range: 0-0". Where a chunk was cut off after one byte, both have to be tried.
const minChunk = 2

// upload is a push in several requests. It can go on after the process was killed.
type upload struct {
	client  *client
	repo    *repository
	content content
	path    string
	low     int // the registry has so many bytes at least
	high    int // and so many at most: more than low after a chunk was cut off

	ending *operation // the PUT or DELETE that a kill cut off, until it is settled
	shaky  bool       // a kill came when it was being ended, so that its bytes may be elsewhere already

	// A request that was cut off or got no answer may be read when the client has gone on already.
	busy bool // so it may be answered that another request is writing
	torn bool // and of several replicas one may end the upload, or what others put into it, at any time
}

// several reports whether there are several replicas. Then every chunk says where it begins, as it may be taken when
// another replica has gone on.
func (u *upload) several() bool { return u.client.registry.replicated() }

// startUpload opens an upload. Until it has ended it is in the client's list.
func (c *client) startUpload(r *repository, x content) (*upload, error) {
	c.library.add(x)
	path := "/v2/" + r.name + "/blobs/uploads/"
	if x.digest.Algorithm() != digest.SHA256 && c.rng.IntN(2) == 0 {
		path += "?digest-algorithm=" + string(x.digest.Algorithm())
	}
	a, err := c.call(request{kind: "POST upload", method: http.MethodPost, path: path, judge: judgeAccepted})
	if err != nil {
		return nil, err
	}
	u := &upload{client: c, repo: r, content: x, path: locationOf(a)}
	c.uploads = append(c.uploads, u)
	return u, nil
}

func judgeAccepted(a response) verdict {
	if a.status == http.StatusAccepted {
		return done()
	}
	return unexpected(a)
}

// locationOf is the path that an answer names.
func locationOf(a response) string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		return ""
	}
	return u.Path
}

// end takes the upload off the client's list.
func (u *upload) end() {
	u.client.uploads = slices.DeleteFunc(u.client.uploads, func(other *upload) bool { return other == u })
}

// someBytes is the size of a random next chunk. It leaves a few bytes for later.
func (c *client) someBytes(u *upload) int {
	return minChunk + c.rng.IntN(max(1, u.content.size-u.low-2*minChunk))
}

// errGone says that the registry has let go of an upload, which a kill can bring about.
var errGone = errors.New("the upload cannot go on")

// complete sends the rest and ends the upload, or pushes all of it again if it cannot go on.
func (u *upload) complete() error {
	err := u.sendRest()
	if !errors.Is(err, errGone) {
		return err
	}
	u.client.restarts.Add(1)
	u.end() // who has been told that it is gone finds it gone
	return u.client.postBlob(u.repo, u.content)
}

// sendRest sends the rest in chunks of random sizes and ends the upload.
func (u *upload) sendRest() error {
	c := u.client
	if err := u.findRange(); err != nil {
		return err
	}
	for u.content.size-u.low >= 4*minChunk && c.rng.IntN(3) > 0 {
		n := c.someBytes(u)
		if c.rng.IntN(8) == 0 {
			if err := u.cutPatch(n); err != nil {
				return err
			}
			if err := u.findRange(); err != nil {
				return err
			}
			continue
		}
		if err := u.patch(n); err != nil {
			return err
		}
	}
	return u.finish(u.content.size - u.low)
}

// patch sends the next n bytes.
func (u *upload) patch(n int) error {
	_, err := u.send(u.low, n, true)
	return err
}

// send sends n bytes from offset on, which the registry may refuse if it is not certain that it stands there.
func (u *upload) send(offset, n int, certain bool) (taken bool, err error) {
	header := map[string]string{"Content-Type": octets["Content-Type"]}
	if !certain || u.several() || u.client.rng.IntN(2) == 0 {
		header["Content-Range"] = fmt.Sprintf("%d-%d", offset, offset+n-1)
	}
	a, err := u.client.call(request{
		kind:   "PATCH upload",
		method: http.MethodPatch,
		path:   u.path,
		header: header,
		body:   u.content.bytes()[offset : offset+n],
		stream: u.client.rng.IntN(2) == 0,
		judge: func(a response) verdict {
			stands := fmt.Sprintf("0-%d", offset+n-1)
			switch {
			case a.status == http.StatusAccepted && a.header.Get("Range") != stands:
				return wrong("the upload stands at %q, not %q", a.header.Get("Range"), stands)
			case a.status == http.StatusAccepted:
				return done()
			}
			return u.judgeRefusal(a, certain)
		},
	})
	switch {
	case errors.Is(err, errNoAnswer):
		u.high = max(u.high, offset+n)
		u.torn = u.torn || u.several()
		u.busy = u.torn
	case err == nil && a.status == http.StatusAccepted:
		u.low, u.high, u.shaky = offset+n, offset+n, false
		return true, nil
	case err == nil && a.status == http.StatusNotFound:
		return false, errGone
	}
	return false, err
}

// judgeRefusal reads what a chunk may be refused with.
func (u *upload) judgeRefusal(a response, certain bool) verdict {
	switch {
	case a.status == http.StatusRequestedRangeNotSatisfiable && (!certain || u.busy):
		return no()
	case a.status == http.StatusNotFound && (u.shaky || u.torn) && a.code() == "BLOB_UPLOAD_UNKNOWN":
		return no()
	}
	return unexpected(a)
}

// finish sends the last n bytes and makes a blob of the upload.
func (u *upload) finish(n int) error {
	x := u.content
	header := map[string]string{"Content-Type": octets["Content-Type"]}
	if n > 0 && (u.several() || u.client.rng.IntN(2) == 0) {
		header["Content-Range"] = fmt.Sprintf("%d-%d", u.low, u.low+n-1)
	}
	a, err := u.client.call(request{
		kind:    "PUT upload",
		method:  http.MethodPut,
		path:    u.path + "?digest=" + url.QueryEscape(string(x.digest)),
		header:  header,
		body:    x.bytes()[x.size-n:],
		effects: u.client.blobArrives(u.repo, x.digest),
		judge: func(a response) verdict {
			if a.status == http.StatusCreated {
				return done()
			}
			return u.judgeRefusal(a, true)
		},
		late: judgeLateEnd,
	})
	switch {
	case errors.Is(err, errNoAnswer):
		u.unanswered(a.op)
	case err == nil && a.status == http.StatusCreated:
		u.end()
	case err == nil:
		return errGone
	}
	return err
}

// judgeLateEnd reads the answer to the end of an upload with which its client may have gone on elsewhere.
func judgeLateEnd(a response) verdict {
	switch {
	case a.status == http.StatusCreated:
		return done()
	case a.status == http.StatusRequestedRangeNotSatisfiable, a.status == http.StatusNotFound && a.code() == "BLOB_UPLOAD_UNKNOWN":
		return no()
	}
	return unexpected(a)
}

// unanswered notes that the end of the upload got no answer.
func (u *upload) unanswered(op *operation) {
	if u.several() {
		u.busy, u.torn, u.high = true, true, u.content.size // what had arrived of the end may be kept
		return
	}
	u.ending = op
}

// cancel ends the upload without a blob.
func (u *upload) cancel() error {
	uncertain := u.high > u.low || u.busy
	a, err := u.client.call(request{
		kind:   "DELETE upload",
		method: http.MethodDelete,
		path:   u.path,
		judge: func(a response) verdict {
			switch {
			case a.status == http.StatusNoContent:
				return done()
			case a.status == http.StatusRequestedRangeNotSatisfiable && uncertain:
				return no()
			case a.status == http.StatusNotFound && u.torn:
				return no()
			}
			return unexpected(a)
		},
	})
	switch {
	case errors.Is(err, errNoAnswer):
		u.unanswered(a.op)
	case err == nil && a.status != http.StatusRequestedRangeNotSatisfiable:
		u.end()
	}
	return err
}
