package engine

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/meta"
)

// scanning remembers what the setting says that was read last.
type scanning struct {
	last atomic.Pointer[scanRules]
}

type scanRules struct {
	text          string
	configuration scan.Configuration
	err           error
}

// parse reads a setting as it is kept.
func (s *scanning) parse(text string) (scan.Configuration, error) {
	known := s.last.Load()
	if known == nil || known.text != text {
		c, err := scan.ParseConfiguration([]byte(text))
		known = &scanRules{text, c, err}
		s.last.Store(known)
	}
	return known.configuration, known.err
}

// scansPushes reports whether images that are pushed to a repository are scanned. A setting
// that cannot be read is none: it must not keep anybody from pushing.
func (e *Engine) scansPushes(ctx context.Context, tx *meta.Tx, r meta.Repository) (bool, error) {
	text, err := tx.Setting(ctx, registry.ScanningSetting)
	if err != nil {
		return false, err
	}
	c, err := e.scanning.parse(text)
	if err != nil {
		e.log.ErrorContext(ctx, "what is scanned on push cannot be read, so nothing is; put the registry's scanning configuration anew", "error", err)
		return false, nil
	}
	frequency, _ := c.For(r.Name, r.ScanOnPush)
	return frequency == scan.OnPush || frequency == scan.Continuous, nil
}

// scanOnPush has an image scanned that was pushed or has come back, where that is configured.
func (e *Engine) scanOnPush(ctx context.Context, tx *meta.Tx, r meta.Repository, d digest.Digest, c registry.Content) error {
	scanned, err := e.scansPushes(ctx, tx, r)
	if err != nil || !scanned {
		return err
	}
	return requestScan(ctx, tx, r, d, c, map[digest.Digest]bool{})
}

// scanOnReturn is scanOnPush for images of which only the digests are known.
func (e *Engine) scanOnReturn(ctx context.Context, tx *meta.Tx, r meta.Repository, all []digest.Digest) error {
	if len(all) == 0 {
		return nil
	}
	scanned, err := e.scansPushes(ctx, tx, r)
	if err != nil || !scanned {
		return err
	}
	return requestScans(ctx, tx, r, all, map[digest.Digest]bool{})
}

// requestScan has an image scanned, or an index and what it lists. What was wanted before is
// left alone if it is only listed. seen are those that were looked at.
func requestScan(ctx context.Context, tx *meta.Tx, r meta.Repository, d digest.Digest, c registry.Content, seen map[digest.Digest]bool) error {
	seen[d] = true
	if err := tx.RequestScan(ctx, r, scan.Request{Digest: d, Kind: scan.KindOf(c), Cause: scan.ByPush}); err != nil || !c.IsIndex() {
		return err
	}
	var listed []digest.Digest
	for _, child := range c.Manifests {
		if seen[child.Digest] || scan.IsAttestation(child) {
			continue
		}
		seen[child.Digest] = true
		wanted, err := tx.ScanRequested(ctx, r, child.Digest)
		if err != nil {
			return err
		}
		if !wanted {
			listed = append(listed, child.Digest)
		}
	}
	return requestScans(ctx, tx, r, listed, seen)
}

// requestScans is requestScan for those of some images that are there: an index may list
// blobs, or what is yet to come. Everybody asks in one order, so that of two who ask for the
// same one waits for the other.
func requestScans(ctx context.Context, tx *meta.Tx, r meta.Repository, all []digest.Digest, seen map[digest.Digest]bool) error {
	manifests, err := tx.ManifestsOf(ctx, r, all)
	if err != nil {
		return err
	}
	slices.SortFunc(manifests, func(a, b registry.Manifest) int { return cmp.Compare(a.Digest, b.Digest) })
	for _, m := range manifests {
		c, err := registry.ParseManifest(m.MediaType, m.Bytes)
		if err != nil {
			return err
		}
		if err := requestScan(ctx, tx, r, m.Digest, c, seen); err != nil {
			return err
		}
	}
	return nil
}
