package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// tagsPerRequest is how many tags one PUT of a manifest may carry.
const tagsPerRequest = 100

// pageOfTags is how many tags a page has.
const pageOfTags = 100

// tagName is the nth tag in lexical order.
func tagName(n int) string { return fmt.Sprintf("t%09d", n) }

// seedTags gives one image in repo all its tags, and returns how many.
func (s *stint) seedTags(repo string) (int, error) {
	im := newImage(tagName(0), s.small, 1)
	if err := im.push(s.client, repo, false); err != nil {
		return 0, err
	}
	// A registry that takes tags as parameters says so in its answer; for another, each tag is a request.
	h, err := s.putTags(repo, im, 0, 2)
	if err != nil || h.Get("OCI-Tag") == "" {
		total := min(s.slowTags, s.tags)
		return total, share(s.clients, total, func(n int) error {
			_, err := s.client.pushManifest(repo, tagName(n), im.manifest)
			return err
		})
	}
	requests := (s.tags + tagsPerRequest - 1) / tagsPerRequest
	return s.tags, share(s.clients, requests, func(n int) error {
		_, err := s.putTags(repo, im, n*tagsPerRequest, min((n+1)*tagsPerRequest, s.tags))
		return err
	})
}

// putTags puts the image under the tags from one number to another.
func (s *stint) putTags(repo string, im image, from, to int) (http.Header, error) {
	var query strings.Builder
	for n := from; n < to; n++ {
		query.WriteString("&tag=" + tagName(n))
	}
	h, _, err := s.client.do(request{
		method: "PUT", repo: repo, url: "/v2/" + repo + "/manifests/" + digestOf(im.manifest) + "?" + query.String()[1:],
		media: typeManifest, body: func() io.Reader { return bytes.NewReader(im.manifest) }, size: int64(len(im.manifest)),
		want: http.StatusCreated,
	}, nil)
	return h, err
}

// pagesOfTags measures pages from the middle third of so many tags, one after the other.
func (s *stint) pagesOfTags(repo string, total int) error {
	e, err := measure(s.running.pid, 1, func(_ int, done func(begun time.Time)) error {
		for range s.pages {
			after := total/3 + rand.IntN(max(total/3-pageOfTags, 1))
			begun := time.Now()
			if err := s.pageOfTags(repo, after); err != nil {
				return err
			}
			done(begun)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.figures.add(tagsP50, percentile(e.latency, 50))
	s.figures.add(tagsP99, percentile(e.latency, 99))
	return nil
}

// pageOfTags reads the page that begins after a tag and looks whether it is the right one.
func (s *stint) pageOfTags(repo string, after int) error {
	url := fmt.Sprintf("/v2/%s/tags/list?n=%d&last=%s", repo, pageOfTags, tagName(after))
	var body bytes.Buffer
	if _, _, err := s.client.do(request{method: "GET", repo: repo, url: url, want: 200}, &body); err != nil {
		return err
	}
	var page struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body.Bytes(), &page); err != nil {
		return err
	}
	if len(page.Tags) != pageOfTags || page.Tags[0] != tagName(after+1) {
		return fmt.Errorf("GET %s: %d tags, not the %d that come next", url, len(page.Tags), pageOfTags)
	}
	return nil
}
