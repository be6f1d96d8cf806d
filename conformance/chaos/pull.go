package main

import (
	"context"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// pullImage pulls an image that was acknowledged, as far as it can be had.
func (c *client) pullImage(x image) (whole bool) {
	if !c.pullManifest(x, x.tag) {
		return false
	}
	for _, b := range x.blobs {
		if !c.pullBlob(x.repo, b.digest) {
			return false
		}
	}
	return true
}

func (c *client) pullManifest(x image, reference string) bool {
	a := c.do(request{kind: "GET manifest", method: http.MethodGet, path: "/v2/" + x.repo + "/manifests/" + reference})
	if a.status == http.StatusOK && a.err == nil && a.digest != x.digest {
		c.violation("%s is not what was pushed: %s instead of %s", x, a.digest, x.digest)
	}
	return a.status == http.StatusOK && a.err == nil
}

func (c *client) pullBlob(repo string, d digest.Digest) bool {
	a := c.do(request{kind: "GET blob", method: http.MethodGet, path: "/v2/" + repo + "/blobs/" + string(d), blob: true})
	if a.status == http.StatusOK && a.err == nil && a.digest != d {
		c.violation("blob %s of %s comes as %s", d, repo, a.digest)
	}
	return a.status == http.StatusOK && a.err == nil
}

// check pulls everything that was ever acknowledged, now that all is well.
func (c *client) check(ctx context.Context) {
	c.mu.Lock()
	images, blobs := c.images, c.blobs
	c.mu.Unlock()
	for _, x := range images {
		if ctx.Err() != nil {
			return
		}
		if !c.pullManifest(x, x.tag) || !c.pullManifest(x, string(x.digest)) {
			c.violation("%s was acknowledged and cannot be pulled", x)
		}
	}
	for _, b := range blobs {
		if ctx.Err() != nil {
			return
		}
		if !c.pullBlob(b.repo, b.digest) {
			c.violation("%s of %s was acknowledged and cannot be pulled", b.digest, b.repo)
		}
	}
}
