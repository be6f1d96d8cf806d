package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/registrytest"
)

// meeting is what participants do things to.
type meeting struct {
	wild   []registry.Name // where anything goes
	safe   []registry.Name // where images are deleted only by who has pushed them
	layers []registrytest.Blob
	images []registrytest.Image
	tags   []registry.Tag
}

func newMeeting() *meeting {
	m := &meeting{
		wild: []registry.Name{"wild/a", "wild/b", "other"},
		safe: []registry.Name{"safe/a", "safe/b"},
		tags: []registry.Tag{"latest", "v1", "v2", "v3"},
	}
	for i := range 4 {
		m.layers = append(m.layers, registrytest.NewBlob(uint64(1000+i), 10_000<<i))
	}
	for i := range 3 {
		m.images = append(m.images, registrytest.Recipe{Seed: uint64(i)}.With(m.layers[i], m.layers[i+1]))
	}
	m.images = append(m.images, registrytest.Recipe{Seed: 7}.With(m.layers[3], m.layers[0])) // the other way round
	subject := m.images[0].Descriptor()
	m.images = append(m.images,
		registrytest.Recipe{Seed: 8, Subject: &subject, ArtifactType: "application/vnd.test"}.With(m.layers[0]),
		registrytest.Recipe{}.Index(m.images[0], m.images[1]),
		registrytest.Recipe{}.Index(m.images[1], m.images[2]))
	return m
}

// participant does one thing after the other.
type participant struct {
	*site
	*meeting
	id     int
	random *rand.Rand
	pushed int
	own    map[registry.Name]*registrytest.Image // that are there for sure
	done   map[string]int                        // how often what was done, or refused
}

func one[T any](p *participant, list []T) T { return list[p.random.IntN(len(list))] }

// deed is something to do, and what may be heard of it.
type deed struct {
	name string
	do   func(*participant, context.Context) error
	may  []error
}

// act does something.
func (p *participant) act(t *testing.T) {
	d := one(p, deeds)
	err := d.do(p, registry.WithPusher(context.Background()))
	if err == nil {
		p.done[d.name]++
		return
	}
	p.done[d.name+" refused"]++
	for _, kind := range d.may {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Errorf("%s: %v", d.name, err)
}

var deeds = []deed{
	{"push", func(p *participant, ctx context.Context) error {
		return p.pushAll(ctx, one(p, p.wild), one(p, p.images), one(p, p.tags))
	}, []error{registry.ErrManifestBlobUnknown, registry.ErrQuotaExceeded}},
	{"push without a tag", func(p *participant, ctx context.Context) error {
		return p.pushAll(ctx, one(p, p.wild), one(p, p.images))
	}, []error{registry.ErrManifestBlobUnknown, registry.ErrQuotaExceeded}},
	{"push of one's own", (*participant).pushOwn, []error{registry.ErrManifestBlobUnknown, registry.ErrQuotaExceeded}},
	{"deletion and restoration of one's own", (*participant).bringBack, nil},
	{"mount", func(p *participant, ctx context.Context) error {
		_, err := p.MountBlob(ctx, one(p, p.wild), one(p, append(p.safe, "", "wild/a")), one(p, p.layers).Digest)
		return err
	}, []error{registry.ErrBlobUnknown, registry.ErrQuotaExceeded}},
	{"deletion", func(p *participant, ctx context.Context) error {
		return p.DeleteManifest(ctx, one(p, p.wild), one(p, p.images).Digest)
	}, []error{registry.ErrNameUnknown, registry.ErrManifestUnknown, registry.ErrManifestReferenced}},
	{"deletion of a tag", func(p *participant, ctx context.Context) error {
		return p.DeleteTag(ctx, one(p, p.wild), one(p, p.tags))
	}, []error{registry.ErrNameUnknown, registry.ErrManifestUnknown}},
	{"deletion of a blob", func(p *participant, ctx context.Context) error {
		return p.DeleteBlob(ctx, one(p, p.wild), one(p, p.layers).Digest)
	}, []error{registry.ErrNameUnknown, registry.ErrBlobUnknown, registry.ErrBlobReferenced}},
	{"deletion of a repository", func(p *participant, ctx context.Context) error {
		return p.DeleteRepository(ctx, one(p, p.wild), p.random.IntN(3) == 0)
	}, []error{registry.ErrNameUnknown, registry.ErrNotEmpty}},
	{"restoration", func(p *participant, ctx context.Context) error {
		id := registry.ImageID{Digest: one(p, p.images).Digest}
		if p.random.IntN(3) == 0 {
			id = registry.ImageID{Tag: one(p, p.tags)}
		}
		_, err := p.RestoreImage(ctx, one(p, p.wild), id, registry.Restoration{MoveTags: p.random.IntN(2) == 0})
		return err
	}, []error{registry.ErrManifestUnknown, registry.ErrManifestBlobUnknown, registry.ErrImageExists, registry.ErrQuotaExceeded}},
	{"rollback", func(p *participant, ctx context.Context) error {
		to := []registry.RollbackTarget{{}, {At: p.clock.now().Add(-20 * time.Millisecond)}, {Digest: one(p, p.images).Digest}}
		_, _, err := p.RollbackTag(ctx, one(p, p.wild), one(p, p.tags), one(p, to))
		return err
	}, []error{registry.ErrNameUnknown, registry.ErrManifestUnknown, registry.ErrManifestBlobUnknown, registry.ErrImageExists, registry.ErrQuotaExceeded}},
	{"archive", func(p *participant, ctx context.Context) error {
		class := []registry.StorageClass{registry.Archive, registry.Standard}
		_, err := p.SetStorageClass(ctx, one(p, p.wild), registry.ImageID{Digest: one(p, p.images).Digest}, one(p, class))
		return err
	}, []error{registry.ErrNameUnknown, registry.ErrManifestUnknown, registry.ErrManifestReferenced}},
	{"quota", func(p *participant, ctx context.Context) error {
		prefix := one(p, []string{"wild", "wild/a", "safe", registry.RootPrefix})
		switch p.random.IntN(8) {
		case 0:
			return p.RemoveQuota(ctx, prefix)
		case 1:
			return p.SetQuota(ctx, prefix, 60_000)
		case 2, 3:
			return p.SetQuota(ctx, prefix, 10_000_000)
		}
		_, err := p.Quotas(ctx)
		return err
	}, []error{registry.ErrNotSet}},
	{"policy", func(p *participant, ctx context.Context) error {
		policy := one(p, [][]string{
			{"untagged imageCountMoreThan 1"},
			{"tagged imageCountMoreThan 1 v*"},
			{"any imageCountMoreThan 2"},
			{"tagged imageCountMoreThan 1 latest", "any imageCountMoreThan 3"},
		})
		_, err := p.SetLifecyclePolicy(ctx, one(p, p.wild), rules(policy...))
		return err
	}, []error{registry.ErrNameUnknown}},
	{"run", func(p *participant, ctx context.Context) error {
		_, err := lifecycle.NewPruner(p.db, lifecycle.Options{}).RunNow(ctx, one(p, p.wild), true)
		if err != nil && err.Error() == "another run on the repository is under way" {
			return nil
		}
		return err
	}, []error{registry.ErrNameUnknown, registry.ErrNotSet}},
	{"report", func(p *participant, ctx context.Context) error {
		var all []registry.ImageRef
		for range p.random.IntN(4) {
			all = append(all, registry.ImageRef{Repository: one(p, p.wild), Digest: one(p, p.images).Digest})
		}
		cluster := one(p, []string{"prod", "test"})
		if p.random.IntN(3) == 0 {
			return p.RemoveCluster(ctx, cluster)
		}
		_, err := p.SetRunning(ctx, cluster, all)
		return err
	}, []error{registry.ErrNotSet, registry.ErrUnavailable}},
	{"look", func(p *participant, ctx context.Context) error {
		repo := one(p, append(p.safe, p.wild...))
		_, err := p.RepositoryUsage(ctx, repo)
		if err == nil {
			_, err = p.DeletedImages(ctx, repo, "", 10)
		}
		if err == nil {
			_, err = p.Freed(ctx, repo, registry.Reference{Digest: one(p, p.images).Digest})
		}
		return err
	}, []error{registry.ErrNameUnknown, registry.ErrManifestUnknown}},
}

// pushAll pushes what an image lists, and then the image.
func (p *participant) pushAll(ctx context.Context, repo registry.Name, image registrytest.Image, tags ...registry.Tag) error {
	for _, child := range image.Children {
		if err := p.push(ctx, repo, child); err != nil {
			return err
		}
	}
	return p.push(ctx, repo, image, tags...)
}

// pushOwn pushes an image that nobody else knows, and whose layers all have, or deletes it.
func (p *participant) pushOwn(ctx context.Context) error {
	repo := one(p, p.safe)
	if image := p.own[repo]; image != nil {
		delete(p.own, repo)
		return p.DeleteManifest(ctx, repo, image.Digest)
	}
	p.pushed++
	image := registrytest.Recipe{Seed: uint64(10_000*(p.id+1) + p.pushed)}.With(one(p, p.layers), one(p, p.layers))
	err := p.push(ctx, repo, image, one(p, p.tags), registry.Tag(fmt.Sprintf("own-%d", p.id)))
	if err == nil {
		p.own[repo] = &image
		err = p.intact(repo)
	}
	return err
}

// intact looks for one's own image.
func (p *participant) intact(repo registry.Name) error {
	image := p.own[repo]
	if image == nil {
		return nil
	}
	if err := p.whole(repo, *image); err != nil {
		return fmt.Errorf("the image %s of %s is damaged: %v", image.Digest, repo, err) // no excuse is taken
	}
	tag := registry.Tag(fmt.Sprintf("own-%d", p.id))
	return p.isTag(repo, tag, *image)
}

// bringBack deletes one's own image and restores it, or finds out that it is gone for good.
func (p *participant) bringBack(ctx context.Context) error {
	repo := one(p, p.safe)
	image := p.own[repo]
	if image == nil {
		return nil
	}
	if err := p.intact(repo); err != nil {
		return err
	}
	if err := p.DeleteManifest(ctx, repo, image.Digest); err != nil {
		return err
	}
	delete(p.own, repo)
	_, err := p.RestoreImage(ctx, repo, registry.ImageID{Digest: image.Digest}, registry.Restoration{})
	switch {
	case err == nil:
		p.own[repo] = image
		return p.intact(repo)
	case errors.Is(err, registry.ErrManifestUnknown), errors.Is(err, registry.ErrManifestBlobUnknown), errors.Is(err, registry.ErrQuotaExceeded):
		return nil
	}
	return err
}
