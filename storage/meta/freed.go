package meta

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Freed says what a deletion would free; see [registry.Space]. It costs what the image has,
// whatever else there is.
func (s *Snapshot) Freed(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Freed, error) {
	r, err := s.Repository(ctx, repo)
	if err != nil {
		return registry.Freed{}, err
	}
	if ref == (registry.Reference{}) {
		u, err := s.usage(ctx, r.ID)
		return registry.Freed{Bytes: u.Unique}, err
	}
	d := ref.Digest
	if d == "" {
		if d, err = s.TagDigest(ctx, r, ref.Tag); err != nil {
			return registry.Freed{}, err
		}
	}
	f := falling{q: s.queries, r: r, ids: map[int64]bool{}, digests: map[digest.Digest]bool{}}
	held, err := f.holder(ctx, d, ref.Tag)
	if err != nil || held != "" {
		return registry.Freed{HeldBy: held}, err
	}
	if err := f.fall(ctx, d); err != nil {
		return registry.Freed{}, err
	}
	return f.count(ctx)
}

// falling is the manifests that go with one that is deleted.
type falling struct {
	q       queries
	r       Repository
	ids     map[int64]bool
	digests map[digest.Digest]bool
	order   []digest.Digest
}

func (f *falling) id(ctx context.Context, d digest.Digest) (id int64, err error) {
	err = f.q.run.get(ctx, `SELECT id FROM manifests WHERE repository_id = ? AND digest = ?`, []any{f.r.ID, string(d)}, &id)
	if isNone(err) {
		err = registry.ErrManifestUnknown.With("repository %q has no manifest %s", f.r.Name, d)
	}
	return id, err
}

// holder is what keeps an image whose tag goes, or all of it if tag is empty.
func (f *falling) holder(ctx context.Context, d digest.Digest, tag registry.Tag) (string, error) {
	id, err := f.id(ctx, d)
	if err != nil {
		return "", err
	}
	var by string
	if tag != "" {
		err = f.q.run.get(ctx, `SELECT name FROM tags WHERE manifest_id = ? AND name <> ? LIMIT 1`, []any{id, string(tag)}, &by)
		if err == nil {
			return fmt.Sprintf("the tag %s has the image too", by), nil
		}
		if !isNone(err) {
			return "", err
		}
	}
	err = f.q.run.get(ctx, `SELECT m.digest FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest = ? LIMIT 1`, []any{f.r.ID, string(d)}, &by)
	if isNone(err) {
		return "", nil
	}
	return fmt.Sprintf("the index %s lists the image", by), err
}

// candidate is a manifest that goes if nothing else holds it.
type candidate struct {
	digest digest.Digest
	child  bool // of an index; a tag holds it. What refers to a subject goes with that, tagged or not.
}

// fall lets d go, and what goes with it.
func (f *falling) fall(ctx context.Context, d digest.Digest) error {
	waiting, err := f.add(ctx, d)
	for grown := true; err == nil && grown; {
		grown = false
		var still []candidate
		for _, c := range waiting {
			loose := false
			if loose, err = f.loose(ctx, c); err != nil {
				return err
			}
			if !loose {
				still = append(still, c)
				continue
			}
			more, err := f.add(ctx, c.digest)
			if err != nil {
				return err
			}
			grown = true
			still = append(still, more...)
		}
		waiting = still
	}
	return err
}

// add lets d go, and returns what may go with it.
func (f *falling) add(ctx context.Context, d digest.Digest) (next []candidate, err error) {
	if f.digests[d] {
		return nil, nil
	}
	id, err := f.id(ctx, d)
	if err != nil {
		return nil, err
	}
	f.ids[id], f.digests[d] = true, true
	f.order = append(f.order, d)
	children, err := collect(ctx, f.q.run, scanOne[digest.Digest], `SELECT e.digest FROM manifest_children e
		JOIN manifests m ON m.repository_id = e.repository_id AND m.digest = e.digest WHERE e.manifest_id = ?`, id)
	if err != nil {
		return nil, err
	}
	referrers, err := collect(ctx, f.q.run, scanOne[digest.Digest], `SELECT digest FROM manifests
		WHERE repository_id = ? AND subject = ? AND subject <> '' ORDER BY digest`, f.r.ID, string(d))
	for _, c := range children {
		next = append(next, candidate{c, true})
	}
	for _, c := range referrers {
		next = append(next, candidate{c, false})
	}
	return next, err
}

// loose reports whether nothing holds c but what goes.
func (f *falling) loose(ctx context.Context, c candidate) (bool, error) {
	if c.child {
		tagged, err := f.q.exists(ctx, `SELECT 1 FROM manifests m JOIN tags t ON t.manifest_id = m.id
			WHERE m.repository_id = ? AND m.digest = ? LIMIT 1`, f.r.ID, string(c.digest))
		if err != nil || tagged {
			return false, err
		}
	}
	return f.only(ctx, `SELECT manifest_id FROM manifest_children WHERE repository_id = ? AND digest = ? LIMIT ?`, c.digest)
}

// only reports whether all manifests that a query finds for d go.
func (f *falling) only(ctx context.Context, query string, d digest.Digest) (bool, error) {
	ids, err := collect(ctx, f.q.run, scanOne[int64], query, f.r.ID, string(d), len(f.ids)+1)
	for _, id := range ids {
		if !f.ids[id] {
			return false, err
		}
	}
	return true, err
}

// count adds up the blobs that go.
func (f *falling) count(ctx context.Context) (registry.Freed, error) {
	freed := registry.Freed{Images: f.order}
	seen := map[digest.Digest]bool{}
	for id := range f.ids {
		blobs, err := collect(ctx, f.q.run, scanOne[digest.Digest], `SELECT digest FROM manifest_blobs WHERE manifest_id = ?`, id)
		if err != nil {
			return freed, err
		}
		for _, b := range blobs {
			if seen[b] {
				continue
			}
			seen[b] = true
			goes, err := f.only(ctx, `SELECT manifest_id FROM manifest_blobs WHERE repository_id = ? AND digest = ? LIMIT ?`, b)
			if err != nil {
				return freed, err
			}
			if !goes {
				continue
			}
			var size int64
			err = f.q.run.get(ctx, `SELECT b.size FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id AND rb.repository_id = ?
				WHERE b.digest = ? AND NOT EXISTS (SELECT 1 FROM repository_blobs o WHERE o.blob_id = b.id AND o.repository_id <> ?)`,
				[]any{f.r.ID, string(b), f.r.ID}, &size)
			if isNone(err) {
				continue
			}
			if err != nil {
				return freed, err
			}
			freed.Blobs++
			freed.Bytes += size
		}
	}
	return freed, nil
}
