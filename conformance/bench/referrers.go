package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
)

// referrersOfOne measures how often in a second the whole list of what refers to one image can be read. A registry
// without the endpoint gets no figure.
func (s *stint) referrersOfOne() error {
	repo := s.repo("referrers", 0)
	subject := newImage("subject", s.small, 1)
	if err := subject.push(s.client, repo, false); err != nil {
		return err
	}
	url := "/v2/" + repo + "/referrers/" + digestOf(subject.manifest)
	if err := s.readReferrers(repo, url, nil); unsupported(err) {
		return nil
	} else if err != nil {
		return err
	}
	if err := s.attach(repo, subject); err != nil {
		return err
	}
	listed := 0
	err := s.readReferrers(repo, url, func(page []byte) error {
		var index struct {
			Manifests []json.RawMessage `json:"manifests"`
		}
		err := json.Unmarshal(page, &index)
		listed += len(index.Manifests)
		return err
	})
	if err != nil {
		return err
	}
	if listed != s.referrers {
		return fmt.Errorf("%d of %d referrers are listed", listed, s.referrers)
	}
	e, err := measureFor(s.duration, s.running.pid, s.clients, func(int, int) error {
		return s.readReferrers(repo, url, nil)
	})
	if err != nil {
		return err
	}
	s.figures.add(referrersRate, e.perSecond())
	return nil
}

// attach pushes artifacts that refer to the subject.
func (s *stint) attach(repo string, subject image) error {
	empty := bytesBlob([]byte("{}"))
	if err := s.client.pushBlob(repo, empty, false); err != nil {
		return err
	}
	about := descriptor{typeManifest, digestOf(subject.manifest), int64(len(subject.manifest))}
	layer := s.small.blob()
	if err := s.client.pushBlob(repo, layer, false); err != nil {
		return err
	}
	return share(s.clients, s.referrers, func(n int) error {
		b := manifest{
			ArtifactType: fmt.Sprintf("application/vnd.example.artifact.%d", n),
			Config:       empty.describe("application/vnd.oci.empty.v1+json"),
			Layers:       []descriptor{layer.describe(typeLayer)},
			Subject:      &about,
		}.encode()
		_, err := s.client.pushManifest(repo, digestOf(b), b)
		return err
	})
}

// nextPage matches what a Link header says about the page after this one.
var nextPage = regexp.MustCompile(`<([^>]+)>;\s*rel="?next"?`)

// readReferrers reads the list with all its pages. With visit it hands each page to it.
func (s *stint) readReferrers(repo, url string, visit func(page []byte) error) error {
	for url != "" {
		r := request{method: "GET", repo: repo, url: url, media: "application/vnd.oci.image.index.v1+json", want: 200}
		var page bytes.Buffer
		var keep io.Writer
		if visit != nil {
			keep = &page
		}
		h, _, err := s.client.do(r, keep)
		if err != nil {
			return err
		}
		if visit != nil {
			if err := visit(page.Bytes()); err != nil {
				return err
			}
		}
		url = ""
		if m := nextPage.FindStringSubmatch(h.Get("Link")); m != nil {
			url = m[1]
		}
	}
	return nil
}
