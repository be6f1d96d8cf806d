package scan

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// maxNested is how deep indexes within indexes are looked into.
const maxNested = 3

// view is what is known at one moment of the scans of some images of a repository, and of
// the images that indexes among them list.
type view struct {
	service  *Service
	repo     registry.Name
	states   map[digest.Digest]State
	children map[digest.Digest][]registry.Descriptor // of the indexes
	present  Database                                // zero if there is none
	workers  []Worker                                // that were seen lately; only known where an image waits
}

// look looks at some images.
func (s *Service) look(ctx context.Context, repo registry.Name, images []digest.Digest) (*view, error) {
	v := &view{service: s, repo: repo, states: map[digest.Digest]State{}, children: map[digest.Digest][]registry.Descriptor{}}
	for range 1 + maxNested {
		states, err := s.store.ScanStates(ctx, repo, images)
		if err != nil {
			return nil, err
		}
		var indexes []digest.Digest
		for _, state := range states {
			v.states[state.Digest] = state
			if v.isIndex(state.Digest) {
				indexes = append(indexes, state.Digest)
			}
		}
		if images, err = v.open(ctx, indexes); err != nil {
			return nil, err
		}
		if len(images) == 0 {
			break
		}
	}
	return v, v.surroundings(ctx)
}

// open finds out what indexes list, and returns what of that was not looked at.
func (v *view) open(ctx context.Context, indexes []digest.Digest) ([]digest.Digest, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	manifests, err := v.service.store.ScanManifests(ctx, v.repo, indexes)
	if err != nil {
		return nil, err
	}
	listed := map[digest.Digest]bool{}
	for _, m := range manifests {
		c, err := registry.ParseManifest(m.MediaType, m.Bytes)
		if err != nil {
			return nil, err
		}
		for _, child := range c.Manifests {
			if _, seen := v.states[child.Digest]; !seen && !IsAttestation(child) {
				listed[child.Digest] = true
			}
		}
		v.children[m.Digest] = c.Manifests
	}
	return slices.Sorted(maps.Keys(listed)), nil
}

// surroundings finds out what an image may be waiting for, if one is.
func (v *view) surroundings(ctx context.Context) error {
	waits := false
	for _, state := range v.states {
		waits = waits || state.Status == Pending && !state.Leased
	}
	if !waits {
		return nil
	}
	var err error
	if v.present, err = v.service.present(ctx); err != nil {
		return err
	}
	v.workers, err = v.service.store.Workers(ctx, seenLately)
	return err
}

// unready says why no worker takes a job although there is a database, empty if some may.
func (v *view) unready() string {
	if v.present.Digest == "" || len(v.workers) == 0 {
		return ""
	}
	why := "no scanner has opened the vulnerability database yet"
	for _, w := range v.workers {
		if w.Databases[Vulnerabilities] != "" {
			return ""
		}
		if w.Trouble != "" {
			why = "the scanner " + w.Name + " has not opened the vulnerability database: " + w.Trouble
		}
	}
	return why
}

func (v *view) isIndex(d digest.Digest) bool {
	return registry.Content{MediaType: v.states[d].MediaType}.IsIndex()
}

// one is the scan of an image or an index.
// Errors: ErrNotScanned, registry.ErrManifestUnknown.
func (v *view) one(ctx context.Context, d digest.Digest) (Scan, error) {
	state, there := v.states[d]
	switch {
	case !there:
		return Scan{}, unknown(v.repo, d)
	case state.RequestedAt.IsZero():
		return Scan{}, ErrNotScanned
	case v.isIndex(d):
		return v.index(ctx, state)
	}
	return v.image(ctx, state)
}

// image is the scan of an image.
func (v *view) image(ctx context.Context, state State) (Scan, error) {
	scan := v.outline(state)
	scan.Status, scan.Reason = v.status(state)
	scan.CompletedAt, scan.InventoryAt = state.MatchedAt, state.InventoryAt
	if state.Database != "" {
		scan.Database = Database{Kind: Vulnerabilities, Digest: state.Database, UpdatedAt: state.DatabaseAt}
	}
	scan.Counts = state.Counts
	if state.Counts.Total() == 0 || v.service.opts.Except == nil {
		return scan, nil
	}
	_, excepted, err := v.except(ctx, state.Digest)
	if err == nil && len(excepted) > 0 {
		scan.Counts = maps.Clone(state.Counts)
		for _, x := range excepted {
			if scan.Counts[x.Severity]--; scan.Counts[x.Severity] == 0 {
				delete(scan.Counts, x.Severity)
			}
		}
	}
	return scan, err
}

func (v *view) outline(state State) Scan {
	return Scan{Repository: v.repo, Digest: state.Digest, Cause: state.Cause, RequestedAt: state.RequestedAt}
}

// status is how the scan of an image stands, and why.
func (v *view) status(state State) (Status, string) {
	switch {
	case state.Archived:
		return Archived, "the image is archived"
	case state.Status != Pending:
		return state.Status, state.Reason
	case state.Leased:
		return InProgress, ""
	}
	why := state.Trouble
	switch {
	case v.present.Digest == "" && !state.InventoryAt.IsZero():
		why = noDatabase
	case len(v.workers) == 0 && v.present.Digest == "":
		why = noDatabase + "; and no scanner has asked for work lately: start one, see berth scan status"
	case len(v.workers) == 0:
		why = "no scanner has asked for work lately: start one, see berth scan status"
	case v.unready() != "":
		why = v.unready()
	case why != "":
		why = "it is tried again: " + why
	case v.present.Digest == "":
		why = noDatabase
	default:
		why = "it waits for a scanner"
	}
	return Pending, why
}

const noDatabase = "there is no vulnerability database yet: berth scan db update fetches it, berth scan db import brings one in"

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

// findings are those of an image, and those of them that are excepted.
func (v *view) findings(ctx context.Context, d digest.Digest) ([]Finding, []Excepted, error) {
	if v.service.opts.Except == nil {
		findings, err := v.service.findings(ctx, d)
		return findings, nil, err
	}
	findings, excepted, err := v.except(ctx, d)
	if err == nil && findings == nil {
		findings, err = v.service.findings(ctx, d)
	}
	if err != nil || len(excepted) == 0 {
		return findings, nil, err
	}
	out := map[string]bool{}
	for _, x := range excepted {
		out[x.Key()] = true
	}
	left := make([]Finding, 0, len(findings))
	for _, f := range findings {
		if !out[f.Key()] {
			left = append(left, f)
		}
	}
	return left, excepted, nil
}

// except asks which findings of an image are excepted. The findings are returned if that
// took them.
func (v *view) except(ctx context.Context, d digest.Digest) (read []Finding, excepted []Excepted, err error) {
	excepted, err = v.service.opts.Except(ctx, v.repo, d, func() ([]Finding, error) {
		var err error
		read, err = v.service.findings(ctx, d)
		return read, err
	})
	return read, excepted, err
}

// findings reads the findings of an image.
func (s *Service) findings(ctx context.Context, d digest.Digest) ([]Finding, error) {
	kept, err := s.store.ScanFindings(ctx, d)
	if err != nil || kept == nil {
		return nil, err
	}
	return readFindings(kept)
}

// present is the vulnerability database of this moment, the zero Database if there is none.
func (s *Service) present(ctx context.Context) (Database, error) {
	all, err := s.store.VulnerabilityDatabases(ctx)
	for _, d := range all {
		if d.Kind == Vulnerabilities {
			return d, err
		}
	}
	return Database{}, err
}

// errTooLarge is of what is larger than is kept.
var errTooLarge = errors.New("it is larger than is allowed")
