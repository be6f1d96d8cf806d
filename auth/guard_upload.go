package auth

import (
	"context"
	"errors"
	"iter"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// maxMountPages bounds the search for a repository to mount from when the client
// names none. A blob that more repositories share is uploaded once more instead.
const (
	maxMountPages = 10
	mountPage     = 100
)

func (g *guard) StartUpload(ctx context.Context, repo registry.Name, alg digest.Algorithm) (registry.Upload, error) {
	if err := g.require(ctx, repo, InitiateLayerUpload); err != nil {
		return registry.Upload{}, err
	}
	return g.next.StartUpload(ctx, repo, alg)
}

func (g *guard) Upload(ctx context.Context, repo registry.Name, id registry.UploadID) (registry.Upload, error) {
	if err := g.require(ctx, repo, InitiateLayerUpload); err != nil {
		return registry.Upload{}, err
	}
	return g.next.Upload(ctx, repo, id)
}

func (g *guard) AppendUpload(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk) (registry.Upload, error) {
	if err := g.require(ctx, repo, UploadLayerPart); err != nil {
		return registry.Upload{}, err
	}
	return g.next.AppendUpload(ctx, repo, id, c)
}

// FinishUpload uploads a part as well if it brings one.
func (g *guard) FinishUpload(ctx context.Context, repo registry.Name, id registry.UploadID, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	needed := []Action{CompleteLayerUpload, UploadLayerPart}
	if c.Size == 0 || c.Body == nil {
		needed = needed[:1]
	}
	if err := g.require(ctx, repo, needed...); err != nil {
		return registry.Descriptor{}, err
	}
	return g.next.FinishUpload(ctx, repo, id, c, d)
}

func (g *guard) CancelUpload(ctx context.Context, repo registry.Name, id registry.UploadID) error {
	if err := g.require(ctx, repo, UploadLayerPart); err != nil {
		return err
	}
	return g.next.CancelUpload(ctx, repo, id)
}

// pushLayer is what an upload takes from start to end.
var pushLayer = []Action{InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload}

func (g *guard) PutBlob(ctx context.Context, repo registry.Name, c registry.Chunk, d digest.Digest) (registry.Descriptor, error) {
	if err := g.require(ctx, repo, pushLayer...); err != nil {
		return registry.Descriptor{}, err
	}
	return g.next.PutBlob(ctx, repo, c, d)
}

// MountBlob makes no difference between a source that may not be read and one that
// is not there: the client uploads the blob instead. Only where the policies allow
// it and the token is too narrow does it ask for a wider token.
func (g *guard) MountBlob(ctx context.Context, repo, from registry.Name, d digest.Digest) (registry.Descriptor, error) {
	target, err := g.access.visit(ctx, repo)
	if err != nil {
		return registry.Descriptor{}, err
	}
	var also []Scope
	if from != "" {
		also = []Scope{repositoryScope(from, Pull)}
	}
	if err := target.checkAlso(also, pushLayer...); err != nil {
		return registry.Descriptor{}, g.access.report(ctx, err)
	}
	if from == "" {
		return g.mountAny(ctx, &target.caller, repo, d)
	}
	source, err := g.access.at(ctx, &target.caller, from)
	if err != nil {
		return registry.Descriptor{}, err
	}
	if !source.decide(GetDownloadUrlForLayer).Allowed {
		return registry.Descriptor{}, registry.ErrBlobUnknown
	}
	if !source.holds(GetDownloadUrlForLayer) {
		return registry.Descriptor{}, g.access.report(ctx,
			refuseScope(source.principal(), GetDownloadUrlForLayer, from, scopesFor(repo, pushLayer, also)))
	}
	return g.next.MountBlob(ctx, repo, from, d)
}

// mountAny mounts from the first repository that has the blob and may be read.
func (g *guard) mountAny(ctx context.Context, c *caller, repo registry.Name, d digest.Digest) (registry.Descriptor, error) {
	for from, err := range g.sources(ctx, c, repo, d) {
		if err != nil {
			return registry.Descriptor{}, err
		}
		source, err := g.access.at(ctx, c, from)
		if errors.Is(err, ErrPolicyInvalid) || err == nil && !source.may(GetDownloadUrlForLayer) {
			continue
		}
		if err != nil {
			return registry.Descriptor{}, err
		}
		desc, err := g.next.MountBlob(ctx, repo, from, d)
		if errors.Is(err, registry.ErrBlobUnknown) {
			continue // deleted there since it was listed, or never there
		}
		return desc, err
	}
	return registry.Descriptor{}, registry.ErrBlobUnknown
}

// sources yields repositories that could have the blob. With a token there are only
// those it is for, which are few; without one the registry is asked.
func (g *guard) sources(ctx context.Context, c *caller, repo registry.Name, d digest.Digest) iter.Seq2[registry.Name, error] {
	return func(yield func(registry.Name, error) bool) {
		if !yield(repo, nil) { // it may be there already
			return
		}
		if p := c.principal(); p.Limited {
			for _, s := range p.Scopes {
				if s.Type == repositoryType && s.Name != string(repo) && !yield(registry.Name(s.Name), nil) {
					return
				}
			}
			return
		}
		last := registry.Name("")
		for range maxMountPages {
			names, err := g.next.BlobRepositories(ctx, d, last, mountPage)
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range names {
				if name != repo && !yield(name, nil) {
					return
				}
			}
			if len(names) < mountPage {
				return
			}
			last = names[len(names)-1]
		}
	}
}
