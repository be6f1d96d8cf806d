package main

import (
	"context"
	"fmt"
	"net/http"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pushImage pushes an image until all of it is acknowledged, or ctx is done.
func (c *client) pushImage(ctx context.Context, x image) error {
	for _, b := range x.blobs {
		if err := c.pushBlob(ctx, x.repo, b); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		a := c.do(request{
			kind: "PUT manifest", method: http.MethodPut, path: "/v2/" + x.repo + "/manifests/" + x.tag,
			header: map[string]string{"Content-Type": ocispec.MediaTypeImageManifest}, body: x.manifest,
		})
		if a.status == http.StatusCreated {
			c.acknowledge(x)
			return nil
		}
		c.rest(ctx)
	}
	return fmt.Errorf("%s: its manifest was not taken", x)
}

// pushBlob pushes a blob in one of the ways there are, again and again.
func (c *client) pushBlob(ctx context.Context, repo string, b blob) error {
	chunks := c.rng.IntN(3) // none: in one request
	for try := 0; ctx.Err() == nil; try++ {
		if try > 0 {
			c.rest(ctx)
		}
		if chunks > 0 {
			if c.upload(ctx, repo, b, chunks == 2) {
				return nil
			}
			continue
		}
		a := c.do(request{
			kind: "POST blob", method: http.MethodPost, path: "/v2/" + repo + "/blobs/uploads/?digest=" + string(b.digest),
			header: octets, body: b.bytes(),
		})
		if a.status == http.StatusCreated {
			c.acknowledgeBlob(repo, b)
			return nil
		}
	}
	return fmt.Errorf("%s %s of %d bytes: was not taken", repo, b.digest, b.size)
}

var octets = map[string]string{"Content-Type": "application/octet-stream"}

// maxStuck is how often an upload may refuse what fits before the client begins another.
const maxStuck = 5

// upload pushes a blob in several requests. It is false if another has to be begun.
func (c *client) upload(ctx context.Context, repo string, b blob, chunked bool) (done bool) {
	a := c.do(request{kind: "POST upload", method: http.MethodPost, path: "/v2/" + repo + "/blobs/uploads/"})
	if a.status != http.StatusAccepted {
		return false
	}
	path, bytes := locationOf(a), b.bytes()
	offset, known := 0, true
	for stuck := 0; stuck < maxStuck && ctx.Err() == nil; {
		if !known {
			a := c.do(request{kind: "GET upload", method: http.MethodGet, path: path, upload: true})
			switch {
			case a.status == http.StatusNotFound:
				return false
			case a.status != http.StatusNoContent:
				c.rest(ctx)
				continue
			}
			if offset, known = c.offsetIn(a, path, b), true; offset < 0 {
				return false
			}
		}
		n := b.size - offset
		if chunked && n > 4 && c.rng.IntN(3) > 0 {
			n = 2 + c.rng.IntN(n-2)
			if c.appendChunk(path, bytes, offset, n) {
				offset += n
				stuck = 0
				continue
			}
		} else if c.finish(path, bytes[offset:], offset, b) {
			c.acknowledgeBlob(repo, b)
			return true
		}
		known = false
		stuck++
		c.rest(ctx)
	}
	return false
}

func (c *client) appendChunk(path string, bytes []byte, offset, n int) bool {
	a := c.do(request{
		kind: "PATCH upload", method: http.MethodPatch, path: path, upload: true,
		header: rangeOf(offset, n), body: bytes[offset : offset+n],
	})
	return a.status == http.StatusAccepted
}

// finish ends the upload with what is left, which may be nothing.
func (c *client) finish(path string, rest []byte, offset int, b blob) bool {
	q := request{kind: "PUT upload", method: http.MethodPut, path: path + "?digest=" + string(b.digest), upload: true, header: octets}
	if len(rest) > 0 {
		q.header, q.body = rangeOf(offset, len(rest)), rest
	}
	return c.do(q).status == http.StatusCreated
}

func rangeOf(offset, n int) map[string]string {
	return map[string]string{"Content-Type": "application/octet-stream", "Content-Range": fmt.Sprintf("%d-%d", offset, offset+n-1)}
}

// offsetIn is where the upload stands, or -1. One byte and none look the same; then the client begins at none.
func (c *client) offsetIn(a answer, path string, b blob) int {
	var last int
	if _, err := fmt.Sscanf(a.header.Get("Range"), "0-%d", &last); err != nil || last >= b.size && last > 0 {
		c.violation("%s: an upload of %d bytes has the range %q", path, b.size, a.header.Get("Range"))
		return -1
	}
	if last == 0 {
		return 0
	}
	return last + 1
}
