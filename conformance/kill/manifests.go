package main

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// putManifest pushes a manifest under tags, which all move or none does. byTag names the first of them in the path;
// otherwise the digest stands there and all tags in the query.
func (c *client) putManifest(r *repository, x *manifest, tags []string, byTag bool) error {
	c.library.addManifest(x)
	at, named := c.model.manifest(r, x), c.model.names(r, x)
	effects := []change{{at, set, present}, {r.exists, set, present}}
	for _, t := range tags {
		effects = append(effects, change{r.tags[t], set, value(x.digest)})
	}
	path := "/v2/" + r.name + "/manifests/"
	if byTag {
		path += tags[0]
		tags = tags[1:]
	} else {
		path += string(x.digest)
	}
	if len(tags) > 0 {
		path += "?" + url.Values{"tag": tags}.Encode()
	}
	_, err := c.call(request{
		kind:    "PUT manifest",
		method:  http.MethodPut,
		path:    path,
		header:  map[string]string{"Content-Type": x.mediaType},
		body:    x.bytes,
		effects: effects,
		judge: func(a response) verdict {
			switch {
			case a.status == http.StatusNotFound && a.code() == "MANIFEST_BLOB_UNKNOWN":
				return no(isGone(at), oneIsGone(named))
			case a.status != http.StatusCreated:
				return unexpected(a)
			case a.header.Get("Docker-Content-Digest") != string(x.digest):
				return wrong("the manifest is stored as %s", a.header.Get("Docker-Content-Digest"))
			case a.header.Get("OCI-Subject") != string(x.subject):
				return wrong("OCI-Subject is %q", a.header.Get("OCI-Subject"))
			case len(tags) > 0 && a.header.Get("OCI-Tag") != strings.Join(tags, ", "):
				return wrong("OCI-Tag is %q", a.header.Get("OCI-Tag"))
			}
			return done(either(isThere(at), areThere(named)))
		},
	})
	return err
}

// pullTag reads the manifest under a tag; nil if there is none.
func (c *client) pullTag(r *repository, tag string) (*manifest, error) {
	at := r.tags[tag]
	var found *manifest
	_, err := c.call(request{
		kind:   "GET tag",
		method: http.MethodGet,
		path:   "/v2/" + r.name + "/manifests/" + tag,
		judge: func(a response) verdict {
			if a.status == http.StatusNotFound {
				return missing(a, r, "MANIFEST_UNKNOWN").showing(at, absent)
			}
			d := digest.Digest(a.header.Get("Docker-Content-Digest"))
			x := c.library.manifest(d)
			if x == nil {
				return wrong("the tag points at %q, which nobody ever pushed", d)
			}
			if v := judgeManifest(a, x, http.MethodGet); v.fault != "" {
				return v
			}
			found = x
			return done().showing(at, value(d)).showing(c.model.manifest(r, x), present)
		},
	})
	return found, err
}

// pullManifest reads a manifest by its digest, or with HEAD asks whether it is there.
func (c *client) pullManifest(method string, r *repository, x *manifest) (there bool, err error) {
	at := c.model.manifest(r, x)
	a, err := c.call(request{
		kind:   method + " manifest",
		method: method,
		path:   "/v2/" + r.name + "/manifests/" + string(x.digest),
		judge: func(a response) verdict {
			if a.status == http.StatusNotFound {
				return missing(a, r, "MANIFEST_UNKNOWN").showing(at, absent)
			}
			if v := judgeManifest(a, x, method); v.fault != "" {
				return v
			}
			return done().showing(at, present)
		},
	})
	return a.status == http.StatusOK, err
}

func judgeManifest(a response, x *manifest, method string) verdict {
	switch {
	case a.status != http.StatusOK:
		return unexpected(a)
	case a.header.Get("Content-Type") != x.mediaType:
		return wrong("the manifest comes as %q, it was pushed as %q", a.header.Get("Content-Type"), x.mediaType)
	case a.header.Get("Docker-Content-Digest") != string(x.digest):
		return wrong("the manifest comes with the digest %q", a.header.Get("Docker-Content-Digest"))
	case method == http.MethodGet && !bytes.Equal(a.pages[0], x.bytes):
		return wrong("the manifest's bytes are not those that were pushed: %s", a.text())
	}
	return done()
}

// deleteManifest removes a manifest and its tags, which an index that lists it prevents.
func (c *client) deleteManifest(r *repository, x *manifest) error {
	at := c.model.manifest(r, x)
	effects := []change{{at, set, absent}}
	for _, t := range c.tags {
		effects = append(effects, change{r.tags[t], unset, value(x.digest)})
	}
	_, err := c.call(request{
		kind:    "DELETE manifest",
		method:  http.MethodDelete,
		path:    "/v2/" + r.name + "/manifests/" + string(x.digest),
		effects: effects,
		judge: func(a response) verdict {
			return judgeDeleted(a, r, at, c.model.holders(r, x.digest), "MANIFEST_UNKNOWN")
		},
	})
	return err
}

// deleteTag removes a tag and nothing else.
func (c *client) deleteTag(r *repository, tag string) error {
	at := r.tags[tag]
	_, err := c.call(request{
		kind:    "DELETE tag",
		method:  http.MethodDelete,
		path:    "/v2/" + r.name + "/manifests/" + tag,
		effects: []change{{at, set, absent}},
		judge: func(a response) verdict {
			switch a.status {
			case http.StatusAccepted:
				return done(isThere(at))
			case http.StatusNotFound:
				return missing(a, r, "MANIFEST_UNKNOWN").showing(at, absent)
			}
			return unexpected(a)
		},
	})
	return err
}

// someTags is none to four different tags.
func (c *client) someTags() []string {
	n := []int{0, 1, 1, 1, 2, 4}[c.rng.IntN(6)]
	tags := make([]string, n)
	for i, p := range c.rng.Perm(len(c.tags))[:n] {
		tags[i] = c.tags[p]
	}
	slices.Sort(tags)
	return tags
}
