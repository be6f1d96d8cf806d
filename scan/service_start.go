package scan

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// manualEvery is how often an image may be scanned by hand, as in Amazon ECR.
const manualEvery = 24 * time.Hour

// Start implements [Scans].
func (s *Service) Start(ctx context.Context, repo registry.Name, d digest.Digest, how StartOptions) (Scan, error) {
	states, err := s.store.ScanStates(ctx, repo, []digest.Digest{d})
	if err != nil {
		return Scan{}, err
	}
	if len(states) == 0 {
		return Scan{}, unknown(repo, d)
	}
	state := states[0]
	if state.Archived {
		return Scan{}, ErrArchived
	}
	requests := map[digest.Digest]Request{}
	if err := s.requests(ctx, repo, []digest.Digest{d}, requests, maxNested); err != nil {
		return Scan{}, err
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(requests)), func(r Request) bool { return r.Kind == ImageManifest }) {
		return Scan{}, ErrUnsupportedImage
	}
	if age := s.opts.Clock().Sub(state.RequestedAt); !how.Force && age < manualEvery && state.Status != Failed {
		return Scan{}, registry.ErrLimitExceeded.With("a scan of the image was asked for %s ago; it can be had once in 24 hours", max(age.Round(time.Second), time.Second))
	}
	all := slices.SortedFunc(maps.Values(requests), func(a, b Request) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	for i := range all {
		all[i].Anew = how.Anew
	}
	if err := s.store.RequestScans(ctx, repo, all); err != nil {
		return Scan{}, err
	}
	return s.Scan(ctx, repo, d)
}

// requests adds what has to be asked for so that images are scanned: of an index all that it
// lists.
func (s *Service) requests(ctx context.Context, repo registry.Name, images []digest.Digest, all map[digest.Digest]Request, depth int) error {
	manifests, err := s.store.ScanManifests(ctx, repo, images)
	if err != nil {
		return err
	}
	var listed []digest.Digest
	for _, m := range manifests {
		c, err := registry.ParseManifest(m.MediaType, m.Bytes)
		if err != nil {
			return err
		}
		r := Request{Digest: m.Digest, Kind: KindOf(c), Cause: ByHand, Again: true}
		all[m.Digest] = r
		if r.Kind != IndexManifest || depth == 0 {
			continue
		}
		for _, child := range c.Manifests {
			if _, seen := all[child.Digest]; !seen && !IsAttestation(child) {
				listed = append(listed, child.Digest)
			}
		}
	}
	if len(listed) == 0 {
		return nil
	}
	slices.Sort(listed)
	return s.requests(ctx, repo, slices.Compact(listed), all, depth-1)
}
