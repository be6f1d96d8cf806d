package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// storm is what all clients do at once when a kill is to hit as many commits as possible: push the same small blobs,
// push and delete the same image, move the same tags. Hardly any time then goes into moving bytes.
type storm struct {
	repo   *repository
	other  *repository
	blobs  []content
	images []*manifest
	tags   []string
}

func newStorm(rng *rand.Rand, l *lab) (*storm, error) {
	s := &storm{repo: l.model.repos[rng.IntN(len(l.model.repos))], other: l.model.repos[rng.IntN(len(l.model.repos))]}
	for range 3 {
		s.blobs = append(s.blobs, newContent(rng.Uint64(), 16+rng.IntN(200), randomAlgorithm(rng)))
	}
	for i := range 2 {
		config := literalContent(fmt.Appendf(nil, `{"storm":%d}`, rng.Uint64()), digest.SHA256)
		s.blobs = append(s.blobs, config)
		x, err := newImage(digest.SHA256, ocispec.MediaTypeImageManifest, "", config, s.blobs[i:i+2], nil)
		if err != nil {
			return nil, err
		}
		l.library.addManifest(x)
		s.images = append(s.images, x)
	}
	for _, b := range s.blobs {
		l.library.add(b)
	}
	for _, i := range rng.Perm(len(l.tags))[:3] {
		s.tags = append(s.tags, l.tags[i])
	}
	return s, nil
}

// join does one thing of the storm.
func (c *client) join(s *storm) error {
	x := s.images[c.rng.IntN(len(s.images))]
	b := s.blobs[c.rng.IntN(len(s.blobs))]
	switch p := c.rng.IntN(20); {
	case p < 7:
		_, err := c.pushBlob(s.repo, b)
		return err
	case p < 9:
		u, err := c.startUpload(s.repo, b)
		if err != nil {
			return err
		}
		return u.complete()
	case p < 15:
		return c.putManifest(s.repo, x, s.tags[:1+c.rng.IntN(3)], c.rng.IntN(2) == 0)
	case p < 16:
		return c.deleteManifest(s.repo, x)
	case p < 17:
		return c.deleteTag(s.repo, s.tags[0])
	case p < 18:
		return c.deleteBlob(s.repo, b.digest)
	case p < 19:
		return c.mountBlob(s.other, s.repo, b.digest)
	}
	return c.goOn(s.repo)
}
