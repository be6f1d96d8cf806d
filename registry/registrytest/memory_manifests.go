package registrytest

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// StatManifest implements [registry.Reader].
func (m *Memory) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	found, err := m.Manifest(ctx, repo, ref)
	if err != nil {
		return registry.Descriptor{}, err
	}
	return registry.Descriptor{MediaType: found.MediaType, Digest: found.Digest, Size: int64(len(found.Bytes))}, nil
}

// Manifest implements [registry.Reader].
func (m *Memory) Manifest(_ context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return registry.Manifest{}, err
	}
	d := ref.Digest
	if d == "" {
		d = r.tags[ref.Tag]
	}
	found, ok := r.manifests[d]
	if !ok {
		return registry.Manifest{}, registry.ErrManifestUnknown
	}
	return found.Manifest, nil
}

// PutManifest implements [registry.Writer].
func (m *Memory) PutManifest(_ context.Context, repo registry.Name, put registry.Manifest, tags []registry.Tag) (registry.Content, error) {
	content, err := registry.ParseManifest(put.MediaType, put.Bytes)
	if err != nil {
		return registry.Content{}, err
	}
	if put.Digest.Algorithm().FromBytes(put.Bytes) != put.Digest {
		return registry.Content{}, registry.ErrDigestInvalid
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayPush(repo); err != nil {
		return registry.Content{}, err
	}
	r := m.repositories[repo]
	if r == nil {
		r = &repository{} // made below, once the manifest is known to be good
	}
	if _, there := r.manifests[put.Digest]; !there {
		added := manifest{
			Manifest:  registry.Manifest{MediaType: content.MediaType, Digest: put.Digest, Bytes: bytes.Clone(put.Bytes)},
			content:   content,
			blobs:     map[digest.Digest]bool{},
			manifests: map[digest.Digest]bool{},
		}
		if err := added.refer(r); err != nil {
			return registry.Content{}, err
		}
		r = m.ensure(repo)
		r.manifests[put.Digest] = added
	}
	for _, t := range tags {
		r.tags[t] = put.Digest
	}
	return content, nil
}

// refer looks for all that a manifest names.
func (added manifest) refer(r *repository) error {
	layers := added.content.Layers
	if config := added.content.Config; config != nil {
		layers = append(layers[:len(layers):len(layers)], registry.Descriptor{Digest: config.Digest})
	}
	for _, layer := range layers {
		if _, there := r.blobs[layer.Digest]; !there && registry.Distributable(layer) {
			return registry.ErrManifestBlobUnknown
		}
		added.blobs[layer.Digest] = true
	}
	for _, child := range added.content.Manifests {
		if _, there := r.manifests[child.Digest]; there {
			added.manifests[child.Digest] = true
		} else if _, there := r.blobs[child.Digest]; there {
			added.blobs[child.Digest] = true
		} else {
			return registry.ErrManifestBlobUnknown
		}
	}
	return nil
}

// DeleteTag implements [registry.Deleter].
func (m *Memory) DeleteTag(_ context.Context, repo registry.Name, t registry.Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return err
	}
	if _, ok := r.tags[t]; !ok {
		return registry.ErrManifestUnknown
	}
	delete(r.tags, t)
	return nil
}

// DeleteManifest implements [registry.Deleter].
func (m *Memory) DeleteManifest(_ context.Context, repo registry.Name, d digest.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return err
	}
	if _, ok := r.manifests[d]; !ok {
		return registry.ErrManifestUnknown
	}
	for _, other := range r.manifests {
		if other.manifests[d] {
			return registry.ErrManifestReferenced
		}
	}
	m.deletions++
	gone := deleted{manifest: r.manifests[d], when: m.deletions}
	for t, tagged := range r.tags {
		if tagged == d {
			gone.tags = append(gone.tags, t)
		}
	}
	r.deleted[d] = gone
	delete(r.manifests, d)
	maps.DeleteFunc(r.tags, func(_ registry.Tag, tagged digest.Digest) bool { return tagged == d })
	return nil
}

// Tags implements [registry.Lister].
func (m *Memory) Tags(_ context.Context, repo registry.Name, last registry.Tag, limit int) ([]registry.Tag, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return nil, err
	}
	return page(maps.Keys(r.tags), last, limit), nil
}

// Referrers implements [registry.Lister].
func (m *Memory) Referrers(_ context.Context, repo registry.Name, q registry.ReferrersQuery) ([]registry.Referrer, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(repo)
	if err != nil {
		return nil, false, err
	}
	found := page(func(yield func(digest.Digest) bool) {
		for d, x := range r.manifests {
			refers := x.content.Subject != nil && x.content.Subject.Digest == q.Subject
			fits := len(q.ArtifactTypes) == 0 || slices.Contains(q.ArtifactTypes, x.content.ArtifactType)
			if refers && fits && !yield(d) {
				return
			}
		}
	}, q.Last, q.Limit+1)
	var list []registry.Referrer
	for _, d := range found[:min(q.Limit, len(found))] {
		x := r.manifests[d]
		referrer, err := registry.NewReferrer(x.Manifest, x.content)
		if err != nil {
			return nil, false, err
		}
		list = append(list, referrer)
	}
	return list, len(found) > q.Limit, nil
}
