package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What a registry of the growth table is made of.
const (
	imagesPerBatch      = 10
	imagesPerRepository = 50
	smallestRegistry    = 600 // so that there are pages of 100 tags in the middle third of the largest repository
)

// collection is the content of a registry in the growth table, all of it pushed through the API.
//
// An image is a manifest of its own under a tag of its own. Ten of them, a batch, share a config and a layer of a
// kilobyte, as builds share what has not changed, and the first is signed: that is an eleventh manifest, without a tag
// and with the first as its subject. Half of all images are in one repository, the others unevenly in many, one for
// every fifty images.
type collection struct {
	images  int
	signed  []string // of each batch the digest of the image that is signed
	catalog []string // the names of the repositories, in order
}

func newCollection(images int) *collection {
	c := &collection{images: images, signed: make([]string, images/imagesPerBatch)}
	for n := range c.signed {
		c.catalog = append(c.catalog, c.repo(n))
	}
	slices.Sort(c.catalog)
	c.catalog = slices.Compact(c.catalog)
	return c
}

// largest is the repository that has half of the images: those of every other batch.
const largest = "growth/largest"

// repo is the repository of a batch. Multiples of the golden ratio fall evenly into the unit interval, and their squares
// into its lower end most of the time.
func (c *collection) repo(batch int) string {
	if batch%2 == 0 {
		return largest
	}
	at := math.Mod(float64(batch)*math.Phi, 1)
	return fmt.Sprintf("growth/r%06d", int(at*at*float64(c.images/imagesPerRepository)))
}

// someBatch is one in the largest repository, from the part of it between two fractions.
func (c *collection) someBatch(from, to float64) int {
	half := float64(len(c.signed) / 2)
	return 2 * int(half*(from+rand.Float64()*(to-from)))
}

// push pushes a batch.
func (c *collection) push(to *client, batch int, m *mill) error {
	repo := c.repo(batch)
	first := newImage("", m, 1)
	for _, b := range []blob{first.config, first.layers[0]} {
		if err := to.pushBlob(repo, b, false); err != nil {
			return err
		}
	}
	named := manifest{Config: first.config.describe(typeConfig), Layers: []descriptor{first.layers[0].describe(typeLayer)}}
	var signed descriptor
	for n := batch * imagesPerBatch; n < (batch+1)*imagesPerBatch; n++ {
		im := named
		im.Annotations = map[string]string{"org.opencontainers.image.version": tagName(n)}
		b := im.encode()
		if _, err := to.pushManifest(repo, tagName(n), b); err != nil {
			return err
		}
		if n == batch*imagesPerBatch {
			signed = bytesBlob(b).describe(typeManifest)
		}
	}
	signature := named
	signature.ArtifactType, signature.Subject = "application/vnd.example.signature", &signed
	b := signature.encode()
	_, err := to.pushManifest(repo, digestOf(b), b)
	c.signed[batch] = signed.Digest
	return err
}

// stage is a registry of one size in the growth table.
type stage struct {
	*collection
	berth   *contestant
	dir     string
	empty   int64 // bytes of the database before the first image
	key     accessKey
	figures figures
}

// grow measures registries of several sizes. They take turns, round by round, as contestants do; what a round pushes it
// deletes again.
func grow(ctx context.Context, o options, dir string) ([]*stage, error) {
	small := newMill(1 << 10)
	var stages []*stage
	for _, images := range o.growth {
		s := &stage{
			collection: newCollection(images),
			berth:      newBerth(o.berth, strings.Fields(o.berthArgs), "", o.s3),
			dir:        filepath.Join(dir, fmt.Sprint(images)),
			figures:    figures{},
		}
		stages = append(stages, s)
		if err := s.fill(ctx, o.sizes, small); err != nil {
			return nil, fmt.Errorf("push %d images: %w", images, err)
		}
	}
	for n := range o.rounds {
		for i := range stages {
			s := stages[(i+n)%len(stages)]
			progress("round %d of %d: %d images", n+1, o.rounds, s.images)
			if err := s.round(ctx, o.sizes, small); err != nil {
				return nil, fmt.Errorf("%d images: %w", s.images, errors.Join(err, ctx.Err()))
			}
		}
	}
	return stages, nil
}

// open starts the registry on what it holds so far.
func (s *stage) open(ctx context.Context, z sizes, small *mill) (*stint, error) {
	return open(ctx, s.berth, s.dir, "", z, mills{small: small}, s.figures)
}

// fill pushes the collection.
func (s *stage) fill(ctx context.Context, z sizes, small *mill) (err error) {
	z.clients *= 2 // nobody looks at the clock, and more of them share a commit
	at, err := s.open(ctx, z, small)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.close()) }()
	if s.empty, err = at.running.database(ctx); err != nil {
		return err
	}
	if s.key, err = newAccessKey(ctx, at.running); err != nil {
		return err
	}
	begun := time.Now()
	err = share(z.clients, len(s.signed), func(n int) error { return s.push(at.client, n, small) })
	if err == nil {
		progress("%d images pushed in %.1f s, to %d repositories", s.images, time.Since(begun).Seconds(), len(s.catalog))
	}
	return err
}

// round measures everything once.
func (s *stage) round(ctx context.Context, z sizes, small *mill) (err error) {
	at, err := s.open(ctx, z, small)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, at.close())
		syscall.Sync()
	}()
	s.figures.add(startTime, at.running.took.Seconds())
	select {
	case <-time.After(rest):
	case <-ctx.Done():
	}
	idle, err := memory(at.running.pid, "VmRSS")
	if err != nil {
		return err
	}
	s.figures.add(idleMemory, idle)
	if len(s.figures[bytesPerImage]) == 0 { // rounds leave blobs behind
		size, err := at.running.database(ctx)
		if err != nil {
			return err
		}
		s.figures.add(bytesPerImage, float64(size-s.empty)/float64(s.images))
	}
	for _, step := range []func(*stint) error{s.heads, s.tags, s.repositories, s.referrers, s.describe, s.pushAndDelete} {
		if err := step(at); err != nil {
			return err
		}
	}
	return nil
}

// heads asks for the images of the largest repository in no order.
func (s *stage) heads(at *stint) error {
	e, err := measureFor(at.duration, at.running.pid, at.clients, func(int, int) error {
		tag := tagName(s.someBatch(0, 1)*imagesPerBatch + rand.IntN(imagesPerBatch))
		_, _, err := at.client.do(request{
			method: "HEAD", repo: largest, url: "/v2/" + largest + "/manifests/" + tag, media: typeManifest, want: 200,
		}, nil)
		return err
	})
	if err != nil {
		return err
	}
	s.figures.cpu(at, headCPU, e.perThousand())
	s.figures.add(headP50, percentile(e.latency, 50))
	s.figures.add(headP99, percentile(e.latency, 99))
	return nil
}

// tags reads pages from the middle third of the largest repository.
func (s *stage) tags(at *stint) error {
	return s.each(at, at.pages, tagsP50, func(int) error {
		return at.pageOfTags(largest, s.someBatch(1./3, 2./3)*imagesPerBatch)
	})
}

// repositories reads pages from the middle third of the catalog.
func (s *stage) repositories(at *stint) error {
	const size = 10
	return s.each(at, at.pages, catalogP50, func(int) error {
		third := len(s.catalog) / 3
		after := third + rand.IntN(third)
		url := fmt.Sprintf("/v2/_catalog?n=%d&last=%s", size, s.catalog[after])
		var body bytes.Buffer
		if _, _, err := at.client.do(request{method: "GET", url: url, want: 200}, &body); err != nil {
			return err
		}
		var page struct{ Repositories []string }
		if err := json.Unmarshal(body.Bytes(), &page); err != nil {
			return err
		}
		rest := s.catalog[after+1:]
		if !slices.Equal(page.Repositories, rest[:min(size, len(rest))]) {
			return fmt.Errorf("GET %s: %q are not the repositories that come next", url, page.Repositories)
		}
		return nil
	})
}

// referrers asks for the signatures of images in the largest repository.
func (s *stage) referrers(at *stint) error {
	return s.each(at, at.pages, referrersP50, func(int) error {
		listed := 0
		err := at.readReferrers(largest, "/v2/"+largest+"/referrers/"+s.signed[s.someBatch(0, 1)], func(page []byte) error {
			var index struct{ Manifests []descriptor }
			err := json.Unmarshal(page, &index)
			listed += len(index.Manifests)
			return err
		})
		if err == nil && listed != 1 {
			err = fmt.Errorf("%d referrers of an image in %s instead of 1", listed, largest)
		}
		return err
	})
}

// pushAndDelete pushes small images, with a config and a layer each, to the largest repository, and deletes them.
func (s *stage) pushAndDelete(at *stint) error {
	images := make([]image, at.pushes/at.clients*at.clients)
	for n := range images {
		images[n] = newImage(fmt.Sprintf("v%d", n), at.small, 1)
	}
	e, err := measure(at.running.pid, at.clients, func(worker int, done func(time.Time)) error {
		for n := worker; n < len(images); n += at.clients {
			begun := time.Now()
			if err := images[n].push(at.client, largest, false); err != nil {
				return err
			}
			done(begun)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.figures.add(smallRate, e.perSecond())
	s.figures.cpu(at, smallCPU, e.perThousand())
	return s.each(at, len(images), deleteP50, func(n int) error {
		url := "/v2/" + largest + "/manifests/" + digestOf(images[n].manifest)
		_, _, err := at.client.do(request{method: "DELETE", repo: largest, url: url, want: 202}, nil)
		return err
	})
}

// each does one thing so many times, one after the other, and adds the median of what that took.
func (s *stage) each(at *stint, times int, p50 metric, f func(n int) error) error {
	e, err := measure(at.running.pid, 1, func(_ int, done func(time.Time)) error {
		for n := range times {
			begun := time.Now()
			if err := f(n); err != nil {
				return err
			}
			done(begun)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.figures.add(p50, percentile(e.latency, 50))
	return nil
}
