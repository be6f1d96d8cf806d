package registrytest

import (
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// deleted is a manifest that was deleted.
type deleted struct {
	manifest
	tags []registry.Tag
	when int // counts deletions
}

// Deleted lists the images of a repository that were deleted and are not there.
func (m *Memory) Deleted(repo registry.Name) []digest.Digest {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return nil
	}
	var all []digest.Digest
	for _, d := range slices.Sorted(maps.Keys(r.deleted)) {
		if _, there := r.manifests[d]; !there {
			all = append(all, d)
		}
	}
	return all
}

// Restore does what RestoreImage of [registry.History] does, with all tags.
func (m *Memory) Restore(repo registry.Name, d digest.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return registry.ErrManifestUnknown
	}
	x, ok := r.deleted[d]
	if _, there := r.manifests[d]; there && !ok {
		return registry.ErrImageExists
	}
	if !ok {
		return registry.ErrManifestUnknown
	}
	if !m.restorable(r, x) {
		return registry.ErrManifestBlobUnknown
	}
	for back := m.undelete(r, x); len(back) > 0; back = back[1:] {
		for _, other := range slices.Sorted(maps.Keys(r.deleted)) {
			o, there := r.deleted[other]
			_, pushed := r.manifests[other]
			refers := there && o.content.Subject != nil && o.content.Subject.Digest == back[0].Digest
			if refers && !pushed && o.when >= back[0].when && m.restorable(r, o) {
				back = append(back, m.undelete(r, o)...)
			}
		}
	}
	return nil
}

// needed are config and layers, but for those that may be kept elsewhere.
func (x deleted) needed() (all []digest.Digest) {
	if x.content.Config != nil {
		all = append(all, x.content.Config.Digest)
	}
	for _, layer := range x.content.Layers {
		if registry.Distributable(layer) {
			all = append(all, layer.Digest)
		}
	}
	return all
}

// restorable reports whether all that a deleted manifest names is there or can be.
func (m *Memory) restorable(r *repository, x deleted) bool {
	for _, d := range x.needed() {
		if _, known := m.known[d]; !known {
			return false
		}
	}
	for _, child := range x.content.Manifests {
		if _, there := r.manifests[child.Digest]; there {
			continue
		}
		if c, ok := r.deleted[child.Digest]; ok {
			if !m.restorable(r, c) {
				return false
			}
		} else if _, known := m.known[child.Digest]; !known {
			return false
		}
	}
	return true
}

// undelete brings a manifest back after what it lists.
func (m *Memory) undelete(r *repository, x deleted) []deleted {
	delete(r.deleted, x.Digest)
	back := []deleted{x}
	if _, there := r.manifests[x.Digest]; !there {
		for _, d := range x.needed() {
			r.blobs[d] = m.known[d]
		}
		for _, child := range x.content.Manifests {
			if _, there := r.manifests[child.Digest]; there {
				continue
			}
			if c, ok := r.deleted[child.Digest]; ok {
				back = append(back, m.undelete(r, c)...)
			} else {
				r.blobs[child.Digest] = m.known[child.Digest]
			}
		}
		again := manifest{Manifest: x.Manifest, content: x.content, blobs: map[digest.Digest]bool{}, manifests: map[digest.Digest]bool{}}
		if err := again.refer(r); err != nil {
			panic(err) // it is restorable
		}
		r.manifests[x.Digest] = again
	}
	for _, t := range x.tags {
		if _, taken := r.tags[t]; !taken {
			r.tags[t] = x.Digest
		}
	}
	return back
}
