package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"
)

// sampled is how many facts are looked at after a kill, besides those that changed since the kill before.
const sampled = 60

// verifier compares what is there with the model while all clients rest.
type verifier struct {
	*lab
	lookers []*client
	rng     *rand.Rand

	mu    sync.Mutex
	seen  map[*cell]bool // what this verification has looked at, and whether it was there
	found tally
}

// tally counts the facts that were looked at.
type tally struct {
	there, gone map[cellKind]int
}

func newVerifier(l *lab, seed uint64) *verifier {
	v := &verifier{lab: l, rng: rand.New(rand.NewPCG(seed, 1<<32))}
	for i := range 6 {
		v.lookers = append(v.lookers, newClient(l, 100+i, seed))
	}
	return v
}

// verify looks at everything, or at what has changed and a sample of the rest. The clients must rest; it decides what
// became of their operations that a kill cut off.
func (v *verifier) verify(ctx context.Context, clients []*client, everything bool) error {
	asOf, err := v.model.parked()
	if err != nil {
		return err
	}
	v.seen, v.found = map[*cell]bool{}, tally{map[cellKind]int{}, map[cellKind]int{}}
	if err := v.uploads(ctx, clients); err != nil {
		return err
	}
	cells := v.choose(everything)
	err = inParallel(ctx, v.lookers, cells, func(c *client, at *cell) error {
		_, err := v.look(c, at, true)
		return err
	})
	if err != nil {
		return err
	}
	if err := v.model.settle(asOf); err != nil {
		return err
	}
	if err := v.lists(ctx, cells); err != nil {
		return err
	}
	return inParallel(ctx, v.lookers, cells, v.whole)
}

// uploads looks at the uploads that were under way.
func (v *verifier) uploads(ctx context.Context, clients []*client) error {
	var all []*upload
	for _, c := range clients {
		all = append(all, c.uploads...)
	}
	for _, u := range all {
		if err := errors.Join(ctx.Err(), u.check()); err != nil {
			return err
		}
	}
	return nil
}

// choose returns the cells to look at.
func (v *verifier) choose(everything bool) []*cell {
	cells := v.model.takeTouched()
	v.model.mu.Lock()
	defer v.model.mu.Unlock()
	var rest []*cell
	for _, r := range v.model.repos {
		rest = append(rest, r.pushed[blobCell]...)
		rest = append(rest, r.pushed[manifestCell]...)
		for _, t := range v.tags {
			rest = append(rest, r.tags[t])
		}
	}
	if everything {
		return rest
	}
	for range min(sampled, len(rest)) {
		cells = append(cells, rest[v.rng.IntN(len(rest))])
	}
	return cells
}

// look reads what a cell is about, once in a verification.
func (v *verifier) look(c *client, at *cell, bytes bool) (there bool, err error) {
	v.mu.Lock()
	there, known := v.seen[at]
	v.mu.Unlock()
	if known {
		return there, nil
	}
	switch at.kind {
	case repositoryCell:
		return false, nil // the catalog tells
	case blobCell:
		if bytes {
			there, err = c.pullBlob(at.repo, digest.Digest(at.name))
		} else {
			there, err = c.headBlob(at.repo, digest.Digest(at.name))
		}
	case manifestCell:
		there, err = c.pullManifest(http.MethodGet, at.repo, c.library.manifest(digest.Digest(at.name)))
	case tagCell:
		var x *manifest
		x, err = c.pullTag(at.repo, at.name)
		if there = x != nil; there && err == nil {
			err = v.whole(c, c.model.manifest(at.repo, x))
		}
	}
	if err != nil {
		return there, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, twice := v.seen[at]; !twice {
		v.seen[at] = there
		if there {
			v.found.there[at.kind]++
		} else {
			v.found.gone[at.kind]++
		}
	}
	return there, nil
}

// whole looks for all that a manifest names, if it is there.
func (v *verifier) whole(c *client, at *cell) error {
	if at.kind != manifestCell {
		return nil
	}
	there, err := v.look(c, at, true)
	if err != nil || !there {
		return err
	}
	for _, part := range c.model.names(at.repo, c.library.manifest(digest.Digest(at.name))) {
		there, err := v.look(c, part, false)
		if err != nil {
			return err
		}
		if !there {
			c.model.mu.Lock()
			defer c.model.mu.Unlock()
			return c.model.violation(&operation{client: c.id, what: "verification"},
				fmt.Sprintf("%s is there, but %s, which it names, is not", at, part), []*cell{at, part})
		}
		if err := v.whole(c, part); err != nil {
			return err
		}
	}
	return nil
}

// named is how many different blobs the manifests name that the last verification, of everything, has seen.
func (v *verifier) named() int {
	all := map[digest.Digest]bool{}
	for at, there := range v.seen {
		if at.kind == manifestCell && there {
			for _, d := range v.library.manifest(digest.Digest(at.name)).blobs {
				all[d] = true
			}
		}
	}
	return len(all)
}

// lists reads the catalog, the tags of all repositories, and the referrers of each subject among the cells.
func (v *verifier) lists(ctx context.Context, cells []*cell) error {
	if err := v.lookers[0].listRepositories(2); err != nil {
		return err
	}
	type list struct {
		repo    *repository
		subject digest.Digest // none: the tags
	}
	var lists []list
	for _, r := range v.model.repos {
		lists = append(lists, list{repo: r})
	}
	have := map[list]bool{}
	for _, at := range cells {
		if at.kind != manifestCell {
			continue
		}
		if x := v.library.manifest(digest.Digest(at.name)); x.subject != "" && !have[list{at.repo, x.subject}] {
			have[list{at.repo, x.subject}] = true
			lists = append(lists, list{at.repo, x.subject})
		}
	}
	return inParallel(ctx, v.lookers, lists, func(c *client, l list) error {
		if l.subject == "" {
			return c.listTags(l.repo, 5)
		}
		return c.listReferrers(l.repo, l.subject, "", 0)
	})
}

// inParallel has the clients share work and returns the first error.
func inParallel[T any](ctx context.Context, clients []*client, work []T, do func(*client, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan T)
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for w := range queue {
				if err := do(c, w); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, w := range work {
		if ctx.Err() != nil {
			break
		}
		queue <- w
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}
