package scan

import (
	"context"
	"maps"
	"slices"

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
