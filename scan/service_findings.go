package scan

import (
	"context"

	"github.com/opencontainers/go-digest"
)

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
