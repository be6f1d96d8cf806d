package scan

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Gated is a view of next in which images are pulled only as far as the gates of their
// repositories let them. What is pushed, deleted and listed passes, and so do blobs: without
// its manifest nobody knows which of them an image has. caught, if it is not nil, is told of
// each pull that a gate has blocked or warned of: once, though clients ask for most images with
// HEAD first, which only counts where it is blocked.
func Gated(next registry.Registry, k *Gatekeeper, caught func(context.Context, Verdict)) registry.Registry {
	if caught == nil {
		caught = func(context.Context, Verdict) {}
	}
	return struct {
		registry.Reader
		registry.Lister
		registry.Writer
		registry.Deleter
	}{&gatedReader{next, k, caught}, next, next, next}
}

// gatedReader says method by method what passes, so that one that is added to the interface
// is missing here until somebody has thought about it.
type gatedReader struct {
	next   registry.Reader
	keeper *Gatekeeper
	caught func(context.Context, Verdict)
}

func (g *gatedReader) StatBlob(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Descriptor, error) {
	return g.next.StatBlob(ctx, repo, d)
}

func (g *gatedReader) OpenBlob(ctx context.Context, repo registry.Name, d digest.Digest, span registry.Span) (registry.Blob, error) {
	return g.next.OpenBlob(ctx, repo, d, span)
}

func (g *gatedReader) BlobURL(ctx context.Context, repo registry.Name, d digest.Digest) (string, error) {
	return g.next.BlobURL(ctx, repo, d)
}

// StatManifest lets accounts that may push pass: they ask what they need not push again, and
// what a signature is to refer to.
func (g *gatedReader) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	ref, err := g.pass(ctx, repo, ref, false)
	if err != nil {
		return registry.Descriptor{}, err
	}
	return g.next.StatManifest(ctx, repo, ref)
}

func (g *gatedReader) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	ref, err := g.pass(ctx, repo, ref, true)
	if err != nil {
		return registry.Manifest{}, err
	}
	return g.next.Manifest(ctx, repo, ref)
}

// pass refuses what must not be pulled, unless a scanner asks or, without pull, who may push. It
// returns the reference to go on with: the digest that was judged, since a tag may name another
// image a moment later.
func (g *gatedReader) pass(ctx context.Context, repo registry.Name, ref registry.Reference, pull bool) (registry.Reference, error) {
	if registry.FromScanner(ctx) {
		return ref, nil
	}
	v, err := g.keeper.Judge(ctx, repo, ref)
	switch {
	case err != nil:
		return ref, err
	case v.Digest != "":
		ref = registry.Reference{Digest: v.Digest}
	}
	if v.Passes || !pull && registry.MayPush(ctx) {
		return ref, nil
	}
	if pull || v.Blocked() {
		g.caught(ctx, v)
	}
	if v.Blocked() {
		return ref, v.refusal()
	}
	if warnings := registry.WarningsFrom(ctx); warnings != nil {
		warnings.Add(v.warning())
	}
	return ref, nil
}
