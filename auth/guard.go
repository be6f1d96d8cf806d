package auth

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// guard is a view of next in which every call is first put to access.
type guard struct {
	registry.Refusing // a method nobody wrote below answers ErrUnsupported

	next   registry.Registry
	access *Access
}

// Guard returns next as the principal of each call may use it: what its policies or
// its token do not allow is a [RefusedError], and lists show what it may see.
func Guard(next registry.Registry, access *Access) registry.Registry {
	return &guard{next: next, access: access}
}

// require asks for all of actions on repo.
func (g *guard) require(ctx context.Context, repo registry.Name, actions ...Action) error {
	v, err := g.access.visit(ctx, repo)
	if err != nil {
		return err
	}
	return g.access.report(ctx, v.check(actions...))
}

// requireChange is require for what others may want to know the author of.
func (g *guard) requireChange(ctx context.Context, repo registry.Name, action Action) (context.Context, error) {
	by := PrincipalFrom(ctx).IdentityARN(g.access.options.Location)
	return registry.WithCause(ctx, registry.Cause{By: by}), g.require(ctx, repo, action)
}

// StatBlob asks for what a push needs to know or for what a pull would fetch.
func (g *guard) StatBlob(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Descriptor, error) {
	v, err := g.access.visit(ctx, repo)
	if err != nil {
		return registry.Descriptor{}, err
	}
	if err := v.checkAny(BatchCheckLayerAvailability, GetDownloadUrlForLayer); err != nil {
		return registry.Descriptor{}, g.access.report(ctx, err)
	}
	ctx = registry.WithPusherIf(ctx, func() bool { return v.may(PutImage) })
	return g.next.StatBlob(ctx, repo, d)
}

func (g *guard) OpenBlob(ctx context.Context, repo registry.Name, d digest.Digest, span registry.Span) (registry.Blob, error) {
	if err := g.require(ctx, repo, GetDownloadUrlForLayer); err != nil {
		return registry.Blob{}, err
	}
	return g.next.OpenBlob(ctx, repo, d, span)
}

func (g *guard) BlobURL(ctx context.Context, repo registry.Name, d digest.Digest) (string, error) {
	if err := g.require(ctx, repo, GetDownloadUrlForLayer); err != nil {
		return "", err
	}
	return g.next.BlobURL(ctx, repo, d)
}

// StatManifest tells of somebody who may push that he may, as StatBlob does, and whether his
// account may.
func (g *guard) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	v, err := g.access.visit(ctx, repo)
	if err != nil {
		return registry.Descriptor{}, err
	}
	if err := v.check(BatchGetImage); err != nil {
		return registry.Descriptor{}, g.access.report(ctx, err)
	}
	ctx = registry.WithPusherIf(ctx, func() bool { return v.may(PutImage) })
	ctx = registry.WithMayPush(ctx, func() bool { return v.allows(PutImage) })
	return g.next.StatManifest(fromScanner(ctx), repo, ref)
}

func (g *guard) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	if err := g.require(ctx, repo, BatchGetImage); err != nil {
		return registry.Manifest{}, err
	}
	return g.next.Manifest(fromScanner(ctx), repo, ref)
}

// fromScanner marks the requests of scanners.
func fromScanner(ctx context.Context) context.Context {
	if PrincipalFrom(ctx).Kind == Scanner {
		return registry.WithScanner(ctx)
	}
	return ctx
}

func (g *guard) PutManifest(ctx context.Context, repo registry.Name, m registry.Manifest, tags []registry.Tag) (registry.Content, error) {
	ctx, err := g.requireChange(ctx, repo, PutImage)
	if err != nil {
		return registry.Content{}, err
	}
	return g.next.PutManifest(ctx, repo, m, tags)
}

func (g *guard) DeleteTag(ctx context.Context, repo registry.Name, t registry.Tag) error {
	ctx, err := g.requireChange(ctx, repo, BatchDeleteImage)
	if err != nil {
		return err
	}
	return g.next.DeleteTag(ctx, repo, t)
}

func (g *guard) DeleteManifest(ctx context.Context, repo registry.Name, d digest.Digest) error {
	ctx, err := g.requireChange(ctx, repo, BatchDeleteImage)
	if err != nil {
		return err
	}
	return g.next.DeleteManifest(ctx, repo, d)
}

// DeleteBlob has no counterpart in ECR; whoever may delete images may delete layers.
func (g *guard) DeleteBlob(ctx context.Context, repo registry.Name, d digest.Digest) error {
	if err := g.require(ctx, repo, BatchDeleteImage); err != nil {
		return err
	}
	return g.next.DeleteBlob(ctx, repo, d)
}

func (g *guard) Tags(ctx context.Context, repo registry.Name, last registry.Tag, limit int) ([]registry.Tag, error) {
	if err := g.require(ctx, repo, ListImages); err != nil {
		return nil, err
	}
	return g.next.Tags(ctx, repo, last, limit)
}

// Referrers asks for what fetching them takes, as ECR's ListImageReferrers does.
func (g *guard) Referrers(ctx context.Context, repo registry.Name, q registry.ReferrersQuery) ([]registry.Referrer, bool, error) {
	if err := g.require(ctx, repo, BatchGetImage); err != nil {
		return nil, false, err
	}
	return g.next.Referrers(ctx, repo, q)
}
