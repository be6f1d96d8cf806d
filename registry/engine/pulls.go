package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

const (
	recordPulls = 5 * time.Second // how often what was pulled is written down
	pullAgain   = time.Hour       // how long a pull counts for those that follow
	maxPulls    = 10_000          // that are remembered
)

// pulls is what was pulled lately. Who pulls does not wait until that is written down.
type pulls struct {
	mu      sync.Mutex
	pending map[pull]struct{}
	written map[meta.Pulled]time.Time // not all: when there are too many, they are written again
}

// pull is an image and who pulled it.
type pull struct {
	meta.Pulled
	by string // ARN, empty if nobody knows
}

func newPulls() *pulls {
	return &pulls{pending: map[pull]struct{}{}, written: map[meta.Pulled]time.Time{}}
}

// note notes a pull. That of a scanner is none.
func (p *pulls) note(ctx context.Context, repo registry.Name, d digest.Digest) {
	if registry.FromScanner(ctx) {
		return
	}
	x := pull{meta.Pulled{Repo: repo, Digest: d}, registry.PullerFrom(ctx)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.written[x.Pulled]; ok && time.Since(at) < pullAgain {
		return
	}
	if len(p.pending) < maxPulls {
		p.pending[x] = struct{}{}
	}
}

// take takes what is to be written down, but not the pulls of those excluded.
func (p *pulls) take(excluded map[string]bool) []meta.Pulled {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[meta.Pulled]bool{}
	now := time.Now()
	for x := range p.pending {
		delete(p.pending, x)
		if at, ok := p.written[x.Pulled]; !excluded[x.by] && (!ok || now.Sub(at) >= pullAgain) {
			all[x.Pulled] = true
		}
	}
	// In one order, so that replicas that note the same wait for each other one way round.
	return slices.SortedFunc(maps.Keys(all), func(a, b meta.Pulled) int {
		return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Digest, b.Digest))
	})
}

// wrote remembers what has been written down.
func (p *pulls) wrote(all []meta.Pulled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.written)+len(all) > maxPulls {
		clear(p.written)
	}
	for _, x := range all {
		p.written[x] = time.Now()
	}
}

// giveBack has what could not be written down be taken again.
func (p *pulls) giveBack(all []meta.Pulled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range all {
		p.pending[pull{Pulled: x}] = struct{}{}
	}
}

// RecordPulls writes down when images were pulled, until ctx is done and once more.
func (e *Engine) RecordPulls(ctx context.Context) {
	tick := time.NewTicker(recordPulls)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			done = true
		}
		if err := e.recordPulls(context.WithoutCancel(ctx)); err != nil {
			e.log.WarnContext(ctx, "when images were pulled cannot be written down", "error", err)
		}
	}
}

func (e *Engine) recordPulls(ctx context.Context) error {
	e.pulls.mu.Lock()
	idle := len(e.pulls.pending) == 0
	e.pulls.mu.Unlock()
	if idle {
		return nil
	}
	const all = 1000 // more than there may be
	list, err := e.meta.PullTimeExclusions(ctx, "", all)
	if err != nil {
		return err
	}
	excluded := make(map[string]bool, len(list))
	for _, x := range list {
		excluded[x.Principal] = true
	}
	pulled := e.pulls.take(excluded)
	const step = 200 // in one transaction
	for len(pulled) > 0 {
		n := min(step, len(pulled))
		err := e.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) error { return tx.NotePulls(ctx, pulled[:n]) })
		if err != nil {
			e.pulls.giveBack(pulled)
			return err
		}
		e.pulls.wrote(pulled[:n])
		pulled = pulled[n:]
	}
	return nil
}
