package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// listTags reads the tags of a repository, in pages of n or in one if n is 0.
func (c *client) listTags(r *repository, n int) error {
	_, err := c.call(request{
		kind:   "GET tags",
		method: http.MethodGet,
		path:   "/v2/" + r.name + "/tags/list" + pages(n),
		follow: true,
		judge: func(a response) verdict {
			if a.status == http.StatusNotFound && a.code() == "NAME_UNKNOWN" {
				return no().showing(r.exists, absent)
			}
			var listed []string
			v := judgeList(a, n, func(page []byte) (int, error) {
				var list struct{ Tags []string }
				err := json.Unmarshal(page, &list)
				listed = append(listed, list.Tags...)
				return len(list.Tags), err
			})
			cells := map[string]*cell{}
			for _, t := range c.tags {
				cells[t] = r.tags[t]
			}
			return judgeNames(v.showing(r.exists, present), listed, cells)
		},
	})
	return err
}

// listRepositories reads the catalog.
func (c *client) listRepositories(n int) error {
	_, err := c.call(request{
		kind:   "GET catalog",
		method: http.MethodGet,
		path:   "/v2/_catalog" + pages(n),
		follow: true,
		judge: func(a response) verdict {
			var listed []string
			v := judgeList(a, n, func(page []byte) (int, error) {
				var list struct{ Repositories []string }
				err := json.Unmarshal(page, &list)
				listed = append(listed, list.Repositories...)
				return len(list.Repositories), err
			})
			cells := map[string]*cell{}
			for _, r := range c.model.repos {
				cells[r.name] = r.exists
			}
			return judgeNames(v, listed, cells)
		},
	})
	return err
}

// listReferrers reads the manifests whose subject is d.
func (c *client) listReferrers(r *repository, d digest.Digest, artifactType string, n int) error {
	path := "/v2/" + r.name + "/referrers/" + string(d) + pages(n)
	if artifactType != "" {
		path += map[bool]string{true: "&", false: "?"}[n > 0] + url.Values{"artifactType": {artifactType}}.Encode()
	}
	_, err := c.call(request{
		kind:   "GET referrers",
		method: http.MethodGet,
		path:   path,
		follow: true,
		judge: func(a response) verdict {
			var listed []ocispec.Descriptor
			v := judgeList(a, n, func(page []byte) (int, error) {
				var list ocispec.Index
				err := json.Unmarshal(page, &list)
				listed = append(listed, list.Manifests...)
				return len(list.Manifests), err
			})
			names := make([]string, len(listed))
			for i, got := range listed {
				names[i] = string(got.Digest)
				x := c.library.manifest(got.Digest)
				if x != nil && (got.MediaType != x.mediaType || got.Size != int64(len(x.bytes)) || got.ArtifactType != x.artifactType) {
					return wrong("the descriptor of %s is wrong: %+v", got.Digest, got)
				}
			}
			cells := map[string]*cell{}
			for _, at := range c.model.referring(r, d) {
				if artifactType == "" || c.library.manifest(digest.Digest(at.name)).artifactType == artifactType {
					cells[at.name] = at
				}
			}
			return judgeNames(v, names, cells)
		},
	})
	return err
}

func pages(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("?n=%d", n)
}

// judgeList reads all pages of a list; only the last may be short.
func judgeList(a response, n int, read func(page []byte) (entries int, err error)) verdict {
	if a.status != http.StatusOK {
		return unexpected(a)
	}
	for i, page := range a.pages {
		entries, err := read(page)
		switch {
		case err != nil:
			return wrong("page %d of the list is no JSON: %v: %s", i+1, err, page)
		case n > 0 && entries > n, i < len(a.pages)-1 && entries < n:
			return wrong("page %d of %d has %d entries instead of %d", i+1, len(a.pages), entries, n)
		}
	}
	return done()
}

// judgeNames compares what is listed with the cells of all that could be.
func judgeNames(v verdict, listed []string, cells map[string]*cell) verdict {
	if v.fault != "" {
		return v
	}
	for i, name := range listed {
		if cells[name] == nil {
			return wrong("the list has %q, which never was", name)
		}
		if i > 0 && listed[i-1] >= name {
			return wrong("the list is not in order: %q stands before %q", listed[i-1], name)
		}
	}
	for name, at := range cells {
		_, found := slices.BinarySearch(listed, name)
		switch {
		case !found:
			v = v.showing(at, absent)
		case at.kind == tagCell:
			v.saw = append(v.saw, change{at, sawSome, absent})
		default:
			v = v.showing(at, present)
		}
	}
	return v
}
