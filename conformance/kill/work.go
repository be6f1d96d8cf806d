package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// task is one of the things a client does.
type task struct {
	weight int
	do     func(*client, *repository) error
}

var tasks = []task{
	{18, (*client).pushImage},
	{5, (*client).pushIndex},
	{7, (*client).pushReferrer},
	{6, (*client).pushPopular},
	{5, (*client).retag},
	{8, (*client).goOn},
	{8, (*client).mountSome},
	{14, (*client).pullImage},
	{6, (*client).pullSome},
	{5, (*client).list},
	{5, (*client).removeTag},
	{5, (*client).removeManifest},
	{8, (*client).removeBlob},
	{3, (*client).probe},
	{2, (*client).probeUpload},
}

// maxUploads is how many uploads a client leaves half done at a time.
const maxUploads = 6

// step does one task, or while there is a storm takes part in it.
func (c *client) step() error {
	if s := c.storm.Load(); s != nil {
		return c.join(s)
	}
	if len(c.uploads) > maxUploads {
		return c.goOn(nil)
	}
	total := 0
	for _, t := range tasks {
		total += t.weight
	}
	n := c.rng.IntN(total)
	for _, t := range tasks {
		if n -= t.weight; n < 0 {
			return t.do(c, c.anyRepository())
		}
	}
	return nil
}

func (c *client) anyRepository() *repository {
	return c.model.repos[c.rng.IntN(len(c.model.repos))]
}

// pushImage pushes layers, some of which others push too, a config and a manifest.
func (c *client) pushImage(r *repository) error {
	x, err := c.newImage(r, "", nil)
	if err != nil || x == nil {
		return err
	}
	return c.putSomehow(r, x)
}

// newImage pushes all that an image takes but its manifest. It returns nil if a blob was left half done.
func (c *client) newImage(r *repository, artifactType string, subject *manifest) (*manifest, error) {
	var layers []content
	whole := true
	for range c.rng.IntN(4) {
		x := randomContent(c.rng, c.parts)
		if c.rng.IntN(3) == 0 {
			x = c.popular[c.rng.IntN(len(c.popular))]
		}
		pushed, err := c.pushBlob(r, x)
		if err != nil {
			return nil, err
		}
		layers, whole = append(layers, x), whole && pushed
	}
	config := literalContent(fmt.Appendf(nil, `{"seed":%d}`, c.rng.Uint64()), randomAlgorithm(c.rng))
	pushed, err := c.pushBlob(r, config)
	if err != nil || !pushed || !whole && c.rng.IntN(4) > 0 { // sometimes try what has to be refused
		return nil, err
	}
	mediaType := ocispec.MediaTypeImageManifest
	if artifactType == "" && subject == nil && c.rng.IntN(5) == 0 {
		mediaType = dockerImage
	}
	return newImage(randomAlgorithm(c.rng), mediaType, artifactType, config, layers, subject)
}

// putSomehow pushes a manifest by tag or by digest.
func (c *client) putSomehow(r *repository, x *manifest) error {
	tags := c.someTags()
	byTag := len(tags) > 0 && x.digest.Algorithm() == digest.SHA256 && c.rng.IntN(2) == 0
	return c.putManifest(r, x, tags, byTag)
}

// pushIndex pushes an index of images that are there already.
func (c *client) pushIndex(r *repository) error {
	var children []*manifest
	for range 1 + c.rng.IntN(3) {
		if child := c.someManifest(r); child != nil {
			children = append(children, child)
		}
	}
	mediaType := ocispec.MediaTypeImageIndex
	if c.rng.IntN(5) == 0 {
		mediaType = dockerList
	}
	x, err := newIndex(randomAlgorithm(c.rng), mediaType, children, c.rng.Uint64())
	if err != nil {
		return err
	}
	return c.putSomehow(r, x)
}

// someManifest is a manifest that may be in the repository, nil if there seems to be none.
func (c *client) someManifest(r *repository) *manifest {
	at := c.model.pick(c.rng, r, manifestCell)
	if at == nil {
		return nil
	}
	return c.library.manifest(digest.Digest(at.name))
}

var artifactTypes = []string{"application/vnd.example.signature", "application/vnd.example.sbom"}

// pushReferrer pushes an artifact with a subject, which may be absent.
func (c *client) pushReferrer(r *repository) error {
	subject := c.someManifest(r)
	if subject == nil {
		return nil
	}
	artifactType := artifactTypes[c.rng.IntN(len(artifactTypes))]
	x, err := c.newImage(r, artifactType, subject)
	if err != nil || x == nil {
		return err
	}
	if err := c.putSomehow(r, x); err != nil {
		return err
	}
	return c.listReferrers(r, subject.digest, []string{"", artifactType}[c.rng.IntN(2)], c.rng.IntN(3))
}

// pushPopular pushes what the others push too.
func (c *client) pushPopular(r *repository) error {
	_, err := c.pushBlob(r, c.popular[c.rng.IntN(len(c.popular))])
	return err
}

// retag pushes a manifest again under other tags.
func (c *client) retag(r *repository) error {
	x := c.someManifest(r)
	if x == nil {
		return nil
	}
	return c.putSomehow(r, x)
}

// goOn continues an upload of earlier, or gives it up.
func (c *client) goOn(*repository) error {
	if len(c.uploads) == 0 {
		return nil
	}
	u := c.uploads[c.rng.IntN(len(c.uploads))]
	if c.rng.IntN(6) == 0 {
		return u.cancel()
	}
	return u.complete()
}

// mountSome mounts a blob from where it may be, from anywhere, or from where it may not be.
func (c *client) mountSome(r *repository) error {
	from := c.anyRepository()
	at := c.model.pick(c.rng, from, blobCell)
	if at == nil {
		return nil
	}
	switch c.rng.IntN(6) {
	case 0:
		from = nil
	case 1:
		from = c.anyRepository()
	}
	return c.mountBlob(r, from, digest.Digest(at.name))
}

// pullImage pulls what is under a tag, as far as it goes: others may delete it meanwhile.
func (c *client) pullImage(r *repository) error {
	x, err := c.pullTag(r, c.tags[c.rng.IntN(len(c.tags))])
	if err != nil || x == nil {
		return err
	}
	for _, child := range x.children {
		if _, err := c.pullManifest(http.MethodGet, r, child); err != nil {
			return err
		}
	}
	for _, d := range x.blobs {
		if _, err := c.pullBlob(r, d); err != nil {
			return err
		}
	}
	return nil
}

// pullSome asks for a blob and a manifest without a tag.
func (c *client) pullSome(r *repository) error {
	if at := c.model.pick(c.rng, r, blobCell); at != nil {
		if err := c.pullRange(r, c.library.content(digest.Digest(at.name))); err != nil {
			return err
		}
	}
	x := c.someManifest(r)
	if x == nil {
		return nil
	}
	method := []string{http.MethodGet, http.MethodHead}[c.rng.IntN(2)]
	_, err := c.pullManifest(method, r, x)
	return err
}

// list reads one of the lists, whole or in pages.
func (c *client) list(r *repository) error {
	n := []int{0, 1 + c.rng.IntN(10)}[c.rng.IntN(2)]
	switch c.rng.IntN(3) {
	case 0:
		return c.listRepositories(n)
	case 1:
		if x := c.someManifest(r); x != nil {
			return c.listReferrers(r, x.digest, "", n)
		}
	}
	return c.listTags(r, n)
}

func (c *client) removeTag(r *repository) error {
	return c.deleteTag(r, c.tags[c.rng.IntN(len(c.tags))])
}

func (c *client) removeManifest(r *repository) error {
	x := c.someManifest(r)
	if x == nil {
		return nil
	}
	return c.deleteManifest(r, x)
}

func (c *client) removeBlob(r *repository) error {
	at := c.model.pick(c.rng, r, blobCell)
	if at == nil {
		return nil
	}
	return c.deleteBlob(r, digest.Digest(at.name))
}

// makePopular is what everybody pushes.
func makePopular(rng *rand.Rand, l *library, parts bool) []content {
	all := make([]content, 24)
	for i := range all {
		all[i] = randomContent(rng, parts)
		l.add(all[i])
	}
	return all
}
