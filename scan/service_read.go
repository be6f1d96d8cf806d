package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Scan implements [Scans].
func (s *Service) Scan(ctx context.Context, repo registry.Name, d digest.Digest) (Scan, error) {
	v, err := s.look(ctx, repo, []digest.Digest{d})
	if err != nil {
		return Scan{}, err
	}
	return v.one(ctx, d)
}

// Scans implements [Scans].
func (s *Service) Scans(ctx context.Context, repo registry.Name, images []digest.Digest) (map[digest.Digest]Scan, error) {
	v, err := s.look(ctx, repo, images)
	if err != nil {
		return nil, err
	}
	all := map[digest.Digest]Scan{}
	for _, d := range images {
		scan, err := v.one(ctx, d)
		switch {
		case err == nil:
			all[d] = scan
		case !errors.Is(err, ErrNotScanned) && !errors.Is(err, registry.ErrManifestUnknown):
			return nil, err
		}
	}
	return all, nil
}

// Report implements [Scans].
func (s *Service) Report(ctx context.Context, repo registry.Name, d digest.Digest) (Report, error) {
	v, err := s.look(ctx, repo, []digest.Digest{d})
	if err != nil {
		return Report{}, err
	}
	scan, err := v.one(ctx, d)
	if err != nil {
		return Report{}, err
	}
	r := Report{Scan: scan, Scanner: v.states[d].Scanner, OS: v.states[d].OS}
	images := []digest.Digest{d}
	if v.isIndex(d) {
		if images = nil; len(scan.Platforms) > 0 {
			first := v.states[scan.Platforms[0].Digest]
			r.Scanner, r.OS = first.Scanner, first.OS
		}
		for _, p := range scan.Platforms {
			images = append(images, p.Digest)
		}
	}
	open, out := map[string]Finding{}, map[string]Excepted{}
	for _, image := range images {
		findings, excepted, err := v.findings(ctx, image)
		if err != nil {
			return Report{}, err
		}
		for _, f := range findings {
			merge(open, f)
		}
		for _, x := range excepted {
			out[x.Key()] = x
		}
	}
	for key := range open {
		delete(out, key) // of another platform it is not
	}
	r.Findings = slices.Collect(maps.Values(open))
	Sort(r.Findings)
	for _, key := range slices.Sorted(maps.Keys(out)) {
		r.Excepted = append(r.Excepted, out[key])
	}
	return r, nil
}

// merge adds a finding of one image of an index to those of the others. What is the same was
// found when it was first found in any.
func merge(all map[string]Finding, f Finding) {
	key := f.Key()
	if known, there := all[key]; there && known.FirstFoundAt.Before(f.FirstFoundAt) {
		return
	}
	all[key] = f
}

// Inventory implements [Scans].
func (s *Service) Inventory(ctx context.Context, repo registry.Name, d digest.Digest) (json.RawMessage, error) {
	v, err := s.look(ctx, repo, []digest.Digest{d})
	if err != nil {
		return nil, err
	}
	state, there := v.states[d]
	switch {
	case !there:
		return nil, unknown(repo, d)
	case v.isIndex(d):
		return nil, fmt.Errorf("%s is an index, whose images have an inventory each: %w", d, ErrUnsupportedImage)
	case state.RequestedAt.IsZero() || state.InventoryAt.IsZero():
		return nil, ErrNotScanned
	}
	return s.inventory(ctx, d)
}

// inventory reads the inventory of an image. Errors: ErrNotScanned if there is none.
func (s *Service) inventory(ctx context.Context, d digest.Digest) (json.RawMessage, error) {
	kept, err := s.store.ScanInventory(ctx, d)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return nil, ErrNotScanned
	}
	return expand(kept, MaxInventory)
}

func unknown(repo registry.Name, d digest.Digest) error {
	return registry.ErrManifestUnknown.With("repository %q has no manifest %s", repo, d)
}
