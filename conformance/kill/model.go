package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// model is what the registry must look like, as far as that is known: a clock, and a cell for every fact. It is shared
// by all clients.
type model struct {
	mu      sync.Mutex
	now     moment
	last    int                       // the id of the last operation
	open    map[*operation]struct{}   // under way, or doubtful and not settled
	touched map[*cell]struct{}        // changed since the last verification
	repos   []*repository             // in order
	byName  map[string]*repository    // the same
	counts  map[string]map[int]int    // operations by kind and status; 0 means cut off
	settled map[string]map[string]int // operations that were cut off, by kind and what became of them
}

// repository is the cells of one repository.
type repository struct {
	name      string
	grace     time.Duration // how long a blob stays that no manifest names; zero: for ever
	exists    *cell
	blobs     map[digest.Digest]*cell
	manifests map[digest.Digest]*cell
	tags      map[string]*cell
	namedBy   map[digest.Digest][]*cell // the manifests that name a blob or manifest
	referrers map[digest.Digest][]*cell // the manifests with this subject
	pushed    [2][]*cell                // all cells of blobs and of manifests, oldest first
}

// newModel is an empty registry in which only these repositories and tags will ever be.
func newModel(repos, tags []string) *model {
	m := &model{
		open:    map[*operation]struct{}{},
		touched: map[*cell]struct{}{},
		byName:  map[string]*repository{},
		counts:  map[string]map[int]int{},
		settled: map[string]map[string]int{},
	}
	for _, name := range repos {
		r := &repository{
			name:      name,
			blobs:     map[digest.Digest]*cell{},
			manifests: map[digest.Digest]*cell{},
			tags:      map[string]*cell{},
			namedBy:   map[digest.Digest][]*cell{},
			referrers: map[digest.Digest][]*cell{},
		}
		r.exists = newCell(repositoryCell, r, "")
		for _, t := range tags {
			r.tags[t] = newCell(tagCell, r, t)
		}
		m.repos = append(m.repos, r)
		m.byName[name] = r
	}
	return m
}

// collects says that garbage is collected, and after which grace.
func (m *model) collects(grace time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.repos {
		r.grace = grace
	}
}

// blob is the cell of a blob.
func (m *model) blob(r *repository, d digest.Digest) *cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blobLocked(r, d)
}

func (m *model) blobLocked(r *repository, d digest.Digest) *cell {
	c, ok := r.blobs[d]
	if !ok {
		c = newCell(blobCell, r, string(d))
		r.blobs[d] = c
		r.pushed[blobCell] = append(r.pushed[blobCell], c)
	}
	return c
}

// blobEverywhere is the cells of a blob in all repositories.
func (m *model) blobEverywhere(d digest.Digest) []*cell {
	cells := make([]*cell, len(m.repos))
	for i, r := range m.repos {
		cells[i] = m.blob(r, d)
	}
	return cells
}

// manifest is the cell of a manifest.
func (m *model) manifest(r *repository, x *manifest) *cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.manifestLocked(r, x)
}

func (m *model) manifestLocked(r *repository, x *manifest) *cell {
	c, ok := r.manifests[x.digest]
	if ok {
		return c
	}
	c = newCell(manifestCell, r, string(x.digest))
	r.manifests[x.digest] = c
	r.pushed[manifestCell] = append(r.pushed[manifestCell], c)
	for _, d := range x.blobs {
		r.namedBy[d] = append(r.namedBy[d], c)
	}
	for _, child := range x.children {
		r.namedBy[child.digest] = append(r.namedBy[child.digest], c)
	}
	if x.subject != "" {
		r.referrers[x.subject] = append(r.referrers[x.subject], c)
	}
	return c
}

// names is the cells of what a manifest names, its subject aside, which need not be there.
func (m *model) names(r *repository, x *manifest) []*cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cells []*cell
	for _, d := range x.blobs {
		cells = append(cells, m.blobLocked(r, d))
	}
	for _, child := range x.children {
		cells = append(cells, m.manifestLocked(r, child))
	}
	return cells
}

// holders is the cells of the manifests that name a blob or manifest.
func (m *model) holders(r *repository, d digest.Digest) []*cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(r.namedBy[d])
}

// referring is the cells of the manifests with a subject.
func (m *model) referring(r *repository, subject digest.Digest) []*cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(r.referrers[subject])
}

// pick chooses a blob or manifest of r that may be there, nil if a few tries find none.
func (m *model) pick(rng *rand.Rand, r *repository, kind cellKind) *cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := r.pushed[kind]
	for try := 0; try < 6 && len(list) > 0; try++ {
		i := rng.IntN(len(list))
		if rng.IntN(2) == 0 { // rather something new
			i = len(list) - 1 - rng.IntN(min(len(list), 20))
		}
		if c := list[i]; c.couldSome(m.now, m.now) {
			return c
		}
	}
	return nil
}

// begin notes that an operation is about to be asked for.
func (m *model) begin(client int, kind, what string, effects []change) *operation {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now++
	m.last++
	op := &operation{id: m.last, client: client, kind: kind, what: what, start: m.now, end: never, effects: effects, began: time.Now()}
	horizon := m.horizon()
	m.open[op] = struct{}{}
	for _, e := range effects {
		e.cell.add(event{op, e.effect, e.value}, horizon)
	}
	return op
}

// horizon is the start of the oldest operation that is still open.
func (m *model) horizon() moment {
	h := m.now
	for op := range m.open {
		h = min(h, op.start)
	}
	return h
}

// conclude notes the answer to an operation. An answer that cannot be right is an error.
func (m *model) conclude(op *operation, status int, v verdict) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now++
	op.end, op.status, op.outcome = m.now, status, v.outcome
	m.count(op.kind, status)
	delete(m.open, op)
	if v.fault != "" {
		return m.violation(op, v.fault, nil)
	}
	for _, c := range v.claims {
		if !c.holds(op.start, op.end) {
			return m.violation(op, "it answers as if "+c.says, c.cells)
		}
	}
	for _, s := range v.saw {
		possible := s.effect == sawSome && s.cell.couldSome(op.start, op.end) ||
			s.effect == saw && s.cell.could(s.value, op.start, op.end)
		if !possible {
			held := s.value
			if held == absent {
				held = "absent"
			}
			return m.violation(op, fmt.Sprintf("%s cannot be %s", s.cell, held), []*cell{s.cell})
		}
	}
	m.learn(op, v)
	return nil
}

// learn keeps what an answer shows.
func (m *model) learn(op *operation, v verdict) {
	look := op
	if len(v.saw) > 0 && v.outcome != acknowledged {
		// The request was refused, but what it showed is certain.
		seen := *op
		seen.outcome = acknowledged
		look = &seen
	}
	horizon := m.horizon()
	for _, s := range v.saw {
		s.cell.add(event{look, s.effect, s.value}, horizon)
		if s.effect == saw {
			s.cell.seen, s.cell.at = s.value, op.end
		}
	}
	if v.outcome == acknowledged {
		for _, e := range op.effects {
			m.touched[e.cell] = struct{}{}
			if e.effect == set && e.value == present {
				e.cell.kept = op.began
			}
		}
	}
}

// cutOff notes that nobody will ever answer an operation, and that nothing can come of it any more. It stays open until
// it is settled.
func (m *model) cutOff(op *operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now++
	m.lose(op, m.now)
}

// abandon notes that nobody waits for an operation any more. It may take effect until parked says that it cannot.
func (m *model) abandon(op *operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose(op, never)
}

func (m *model) lose(op *operation, end moment) {
	op.end, op.outcome = end, doubtful
	m.count(op.kind, 0)
	if len(op.effects) == 0 {
		delete(m.open, op)
	}
	for _, e := range op.effects {
		m.touched[e.cell] = struct{}{}
	}
}

func (m *model) count(kind string, status int) {
	if m.counts[kind] == nil {
		m.counts[kind] = map[int]int{}
	}
	m.counts[kind][status]++
}

// violation describes an answer that cannot be, with the history of what it is about. The caller holds the lock.
func (m *model) violation(op *operation, why string, cells []*cell) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s", op, why)
	const shown = 6
	for i, c := range cells {
		if i == shown {
			fmt.Fprintf(&b, "\n  and %d more", len(cells)-shown)
			break
		}
		fmt.Fprintf(&b, "\n  history of %s, [start, end] by the model's clock:", c)
		for _, e := range c.recent {
			fmt.Fprintf(&b, "\n    %s", e)
		}
	}
	return fmt.Errorf("violation: %s", b.String())
}
