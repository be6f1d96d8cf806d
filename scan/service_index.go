package scan

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// index is the scan of an index, put together from those of its images.
func (v *view) index(ctx context.Context, state State) (Scan, error) {
	scan := v.outline(state)
	scan.Platforms = []PlatformScan{}
	if err := v.platforms(ctx, state.Digest, &scan, map[digest.Digest]bool{}); err != nil {
		return scan, err
	}
	scan.Status, scan.Reason = indexStatus(scan.Platforms)
	if state.Archived {
		scan.Status, scan.Reason = Archived, "the image is archived"
	}
	var found []Counts
	for i, p := range scan.Platforms {
		if p.Counts != nil {
			found = append(found, p.Counts)
		}
		scan.CompletedAt = later(scan.CompletedAt, p.CompletedAt)
		scan.InventoryAt = later(scan.InventoryAt, p.InventoryAt)
		if i == 0 || !p.Database.UpdatedAt.IsZero() && p.Database.UpdatedAt.Before(scan.Database.UpdatedAt) {
			scan.Database = p.Database
		}
	}
	switch len(found) {
	case 0:
		return scan, nil
	case 1:
		scan.Counts = found[0]
		return scan, nil
	}
	// What several images have in common counts once, so the findings have to be looked at.
	union := map[string]Finding{}
	for _, p := range scan.Platforms {
		findings, _, err := v.findings(ctx, p.Digest)
		if err != nil {
			return scan, err
		}
		for _, f := range findings {
			merge(union, f)
		}
	}
	scan.Counts = Count(slices.Collect(maps.Values(union)))
	return scan, nil
}

// platforms adds the scans of the images that an index lists, once each.
func (v *view) platforms(ctx context.Context, index digest.Digest, scan *Scan, seen map[digest.Digest]bool) error {
	seen[index] = true
	for _, child := range v.children[index] {
		state, there := v.states[child.Digest]
		if !there || seen[child.Digest] || IsAttestation(child) {
			continue
		}
		if v.isIndex(child.Digest) {
			if err := v.platforms(ctx, child.Digest, scan, seen); err != nil {
				return err
			}
			continue
		}
		seen[child.Digest] = true
		if state.Status == "" {
			continue // nobody wanted it, as when it was pushed to a sparse index later
		}
		one, err := v.image(ctx, state)
		if err != nil {
			return err
		}
		scan.Platforms = append(scan.Platforms, PlatformScan{Platform: platform(child), Scan: one})
	}
	return nil
}

// platform is how messages call the platform of an image, such as linux/arm64/v8.
func platform(d registry.Descriptor) string {
	p := d.Platform
	switch {
	case p == nil:
		return "unknown"
	case p.Variant != "":
		return p.OS + "/" + p.Architecture + "/" + p.Variant
	}
	return p.OS + "/" + p.Architecture
}

// indexStatus is the status of an index whose images have these.
func indexStatus(platforms []PlatformScan) (Status, string) {
	first := map[Status]PlatformScan{}
	for _, p := range platforms {
		if _, there := first[p.Status]; !there {
			first[p.Status] = p
		}
	}
	for _, status := range []Status{InProgress, Pending, Failed, Archived} {
		if p, there := first[status]; there {
			reason := p.Reason
			if reason != "" {
				reason = p.Platform + ": " + reason
			}
			return status, reason
		}
	}
	if _, there := first[Complete]; there {
		return Complete, ""
	}
	return Unsupported, "the index lists no image that can be scanned"
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
