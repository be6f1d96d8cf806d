package engine_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/gc"
	"berth/storage/meta"
)

// restorer restores an image that another actor may have deleted, and tells whether it could.
func (s *site) restorer(repo registry.Name, image registrytest.Image, restored *bool) actor {
	return actor{func() error {
		_, err := s.RestoreImage(context.Background(), repo, registry.ImageID{Digest: image.Digest}, registry.Restoration{})
		*restored = err == nil
		if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrManifestBlobUnknown) || errors.Is(err, registry.ErrImageExists) {
			err = nil
		}
		return err
	}}
}

// also tells of a scene that an image is needed too if it was restored, and how many objects
// more.
func also(restored *bool, repo registry.Name, image registrytest.Image, objects int) func(*scene) bool {
	return func(x *scene) bool {
		if !*restored {
			return false
		}
		if x.pushed == nil {
			x.pushed = map[registry.Name]registrytest.Image{}
		}
		x.pushed[repo] = image
		x.objects += objects
		return true
	}
}

// either is err, unless it is of a kind that may be.
func either(err, kind error) error {
	if errors.Is(err, kind) || errors.Is(err, registry.ErrNameUnknown) {
		return nil
	}
	return err
}

// pushOne pushes an image of two blobs.
func (s *site) pushOne(repo registry.Name, seed uint64) registrytest.Image {
	s.t.Helper()
	image := registrytest.Recipe{Seed: seed, Layers: 1}.Image()
	want(s.t, "push", s.push(context.Background(), repo, image), nil)
	return image
}

// restorations are plays of [TestOrders]. What a restoration has brought back has all its bytes,
// and one that comes too late leaves nothing behind.
var restorations = []play{
	{"a deletion and its restoration within the grace", func(s *site, seed uint64, a, _ registry.Name) scene {
		image := s.pushOne(a, seed)
		var restored bool
		steps := append(s.deleter(a, image), s.restorer(a, image, &restored)...)
		return scene{
			actors: []actor{steps, s.sweeper(gc.DefaultGrace), s.sweeper(gc.DefaultGrace)},
			pushed: map[registry.Name]registrytest.Image{a: image}, objects: 2,
		}
	}},
	{"a restoration when the grace ends, beside a push that shares the layer", func(s *site, seed uint64, a, b registry.Name) scene {
		image := s.pushOne(a, seed)
		other := oneLayer(seed+1, image)
		want(s.t, "delete", s.deleter(a, image)[0](), nil)
		s.clock.advance(gc.DefaultGrace + time.Minute)
		var restored bool
		return scene{
			actors: []actor{s.restorer(a, image, &restored), s.pusher(b, other), s.sweeper(gc.DefaultGrace)},
			pushed: map[registry.Name]registrytest.Image{b: other}, objects: 2,
			restored: also(&restored, a, image, 1),
		}
	}},
	{"a deletion, its restoration and sweeps without any grace", func(s *site, seed uint64, a, _ registry.Name) scene {
		image := s.pushOne(a, seed)
		var restored bool
		steps := append(s.deleter(a, image), s.restorer(a, image, &restored)...)
		return scene{
			actors:   []actor{steps, s.sweeper(-time.Hour), s.sweeper(-time.Hour)},
			restored: also(&restored, a, image, 2),
		}
	}},
	{"a restoration against the deletion of a blob and of the repository", func(s *site, seed uint64, a, _ registry.Name) scene {
		image := s.pushOne(a, seed)
		want(s.t, "delete", s.deleter(a, image)[0](), nil)
		var restored bool
		return scene{
			actors: []actor{
				s.restorer(a, image, &restored),
				{func() error {
					return either(s.DeleteBlob(context.Background(), a, image.Blobs[0].Digest), registry.ErrBlobReferenced)
				}},
				{func() error { return either(s.DeleteRepository(context.Background(), a, false), registry.ErrNotEmpty) }},
				s.sweeper(gc.DefaultGrace),
			},
			restored: also(&restored, a, image, 2),
		}
	}},
}

// forgotten checks that nothing is left of deleted images.
func (s *site) forgotten() error {
	payloads := map[any]bool{}
	return s.db.Snapshot(context.Background(), func(view *meta.Snapshot) error {
		for _, table := range meta.Tables() {
			err := view.Rows(context.Background(), table, func(row []any) error {
				switch table.Name {
				case "manifest_payloads":
					payloads[row[0]] = true
				case "manifests":
					delete(payloads, row[2])
				case "deleted_images":
					return fmt.Errorf("%v is still known to have been deleted", row[1])
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(payloads) > 0 {
			return fmt.Errorf("no manifest has the payloads %v", payloads)
		}
		return nil
	})
}
