package engine_test

import (
	"sync"
	"testing"

	"berth/registry"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// TestWaitedForRepository: who has waited for a repository sees what the one before has made
// of it.
func TestWaitedForRepository(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		_, err := s.CreateRepository(ctx, "a", registry.Settings{})
		want(t, "CreateRepository", err, nil)
		tag := func(key string, meanwhile func()) error {
			_, err := s.ChangeSettings(ctx, "a", func(x *registry.Settings) error {
				if x.ResourceTags == nil {
					x.ResourceTags = map[string]string{}
				}
				x.ResourceTags[key] = "yes"
				meanwhile()
				return nil
			})
			return err
		}
		image := registrytest.Recipe{Seed: 1}.Image()
		other := registrytest.Recipe{Seed: 2}.Image()
		want(t, "push", s.push(ctx, "a", image, "fixed"), nil)
		for _, b := range other.Blobs {
			_, err := s.PutBlob(ctx, "a", b.Chunk(), b.Digest)
			want(t, "PutBlob", err, nil)
		}
		var others sync.WaitGroup
		var second, moved error
		want(t, "the first change", tag("first", func() {
			others.Go(func() { second = tag("second", func() {}) })
			soon()
		}), nil)
		others.Wait()
		want(t, "the second change", second, nil)
		r, err := s.Repository(ctx, "a")
		want(t, "Repository", err, nil)
		if len(r.ResourceTags) != 2 {
			t.Errorf("the tags are %v", r.ResourceTags)
		}

		_, err = s.ChangeSettings(ctx, "a", func(x *registry.Settings) error {
			x.Mutability.Mode = registry.Immutable
			others.Go(func() { _, moved = s.PutManifest(ctx, "a", other.Manifest, []registry.Tag{"fixed"}) })
			soon()
			return nil
		})
		want(t, "ChangeSettings", err, nil)
		others.Wait()
		want(t, "a push to a tag that has become immutable", moved, registry.ErrTagFixed)

		var policy error
		want(t, "DeleteManifest", s.DeleteManifest(ctx, "a", image.Digest), nil)
		err = s.db.Update(ctx, func(tx *meta.Tx) error {
			r, err := tx.LockRepository(ctx, "a")
			if err != nil {
				return err
			}
			others.Go(func() { _, policy = s.SetLifecyclePolicy(ctx, "a", rules("any imageCountMoreThan 1")) })
			soon()
			_, err = tx.DeleteRepository(ctx, r, 100)
			return err
		})
		want(t, "the deletion", err, nil)
		others.Wait()
		want(t, "a policy for a repository that is gone", policy, registry.ErrNameUnknown)
	})
}

// TestRestoredTogether: of several who bring images back into a repository that is gone, one
// makes it, and none waits for another that waits for it.
func TestRestoredTogether(t *testing.T) {
	url := pgtest.Database(t)
	s := newSite(t, url, open, mem.New())
	ctx := t.Context()
	images := several(8)
	for _, image := range images {
		want(t, "push", s.push(ctx, "a", image), nil)
	}
	want(t, "DeleteRepository", s.DeleteRepository(ctx, "a", true), nil)
	release := holding(t, url, `INSERT INTO repositories (name, created_at, mutability, mutability_exclusions, scan_on_push, encryption, resource_tags)
		VALUES ('a', 0, 'MUTABLE', '', FALSE, '', '')`)
	var restorations sync.WaitGroup
	for _, image := range images {
		restorations.Go(func() {
			if _, err := s.RestoreImage(ctx, "a", registry.ImageID{Digest: image.Digest}, registry.Restoration{}); err != nil {
				t.Errorf("RestoreImage: %v", err)
			}
		})
	}
	soon()
	release()
	restorations.Wait()
	if all := s.rows(url, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); all[0] != "0" {
		t.Errorf("%v deadlocks", all)
	}
	s.left("a", images...)
}
