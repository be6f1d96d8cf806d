package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// RuleStore is where gates, exceptions and what they are held against are kept; storage/meta
// implements it. It is safe for concurrent use.
type RuleStore interface {
	// RulesGeneration moves whenever a gate or an exception changes. It is asked for each
	// pull, and may be behind for a moment of what another process has changed.
	RulesGeneration(ctx context.Context) (int64, error)

	// Gates returns all gates, in the order of [SortGates].
	Gates(ctx context.Context) ([]Gate, error)

	// ExceptionsInForce returns all exceptions that have not expired, by ID.
	ExceptionsInForce(ctx context.Context) ([]Exception, error)

	// Subject finds what ref names, and what is known of it.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	Subject(ctx context.Context, repo registry.Name, ref registry.Reference) (Subject, error)

	// ScanFindings is that of [Store].
	ScanFindings(ctx context.Context, d digest.Digest) ([]byte, error)

	// VEX returns the documents that refer to an image in a repository or to the indexes that
	// list it, and those indexes. Statements are left out unless whole is set.
	VEX(ctx context.Context, repo registry.Name, d digest.Digest, whole bool) (documents []VEXDocument, indexes []digest.Digest, err error)

	// ArchivedManifest returns a manifest without counting that as a pull.
	// Errors: ErrNameUnknown, ErrManifestUnknown.
	ArchivedManifest(ctx context.Context, repo registry.Name, d digest.Digest) (registry.Manifest, error)
}

// Subject is an image as gates see it.
type Subject struct {
	Digest    digest.Digest
	MediaType string

	Status    Status    // of its scan; empty if there was none
	Reason    string    // why Status is what it is
	MatchedAt time.Time // when it was last matched with a database; zero before
	Blocking  string    // a [Blocking] in JSON; empty before it was matched
}

// Gatekeeper judges images by the gates of their repositories. It remembers gates and
// exceptions for as long as the store's generation stands still: most images take the reading of
// one row, and yet a change is seen at once, whichever process made it.
type Gatekeeper struct {
	store RuleStore
	clock func() time.Time

	mu         sync.RWMutex
	generation int64
	rules      *rules // nil before the first time
	verdicts   map[verdictKey]Verdict
}

// rules are the gates and exceptions of a generation.
type rules struct {
	gates      []Gate
	exceptions []Exception
}

// verdictKey is what a verdict depends on besides the rules and the time.
type verdictKey struct {
	repo      registry.Name
	digest    digest.Digest
	matchedAt time.Time
	documents digest.Digest // of those that refer to it and of the indexes that list it; empty if there are none
}

// markDocuments tells documents from others that an image may have at another time, and the
// indexes by whose digests they may mean it.
func markDocuments(documents []VEXDocument, indexes []digest.Digest) digest.Digest {
	if len(documents) == 0 {
		return ""
	}
	marks := digest.Canonical.Digester()
	for _, d := range documents {
		fmt.Fprintf(marks.Hash(), "%s %s %d\n", d.Digest, d.Blob, d.ReadAt.UnixMicro())
	}
	fmt.Fprintln(marks.Hash(), indexes)
	return marks.Digest()
}

// maxVerdicts bounds how many verdicts are remembered, of images that do not pass or do so
// only because of exceptions. One takes some kilobytes.
const maxVerdicts = 1000

// NewGatekeeper returns a gatekeeper for the rules in s. A nil clock means time.Now.
func NewGatekeeper(s RuleStore, clock func() time.Time) *Gatekeeper {
	if clock == nil {
		clock = time.Now
	}
	return &Gatekeeper{store: s, clock: clock, verdicts: map[verdictKey]Verdict{}}
}

// Judge says whether what ref names passes the gate of its repository. Errors: ErrNameUnknown,
// ErrManifestUnknown.
func (k *Gatekeeper) Judge(ctx context.Context, repo registry.Name, ref registry.Reference) (Verdict, error) {
	r, generation, err := k.current(ctx)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Repository: repo, Digest: ref.Digest, Gate: GateFor(r.gates, repo), Passes: true}
	if v.Gate == nil {
		v.Reason = "no gate is for the repository"
		return v, nil
	}
	s, err := k.store.Subject(ctx, repo, ref)
	if err != nil {
		return v, err
	}
	v.Digest = s.Digest
	switch {
	case v.Gate.Mode == Off:
		v.Reason = "the gate lets all images pass"
	case s.MediaType == registry.MediaTypeImageIndex || s.MediaType == registry.MediaTypeDockerList:
		v.Reason = "an index passes; its images are looked at when they are pulled"
	case s.Status == Unsupported:
		v.Reason = "there is nothing in it that could be scanned"
	case s.MatchedAt.IsZero():
		return k.unscanned(ctx, v, s)
	default:
		return k.scanned(ctx, r, generation, v, s)
	}
	return v, nil
}

// unscanned judges an image of which nothing is known.
func (k *Gatekeeper) unscanned(ctx context.Context, v Verdict, s Subject) (Verdict, error) {
	v.Unscanned, v.Reason = true, "it was never scanned"
	if s.Status != "" {
		v.Reason = "it is not scanned (" + string(s.Status)
		if s.Reason != "" {
			v.Reason += ": " + visible(s.Reason)
		}
		v.Reason += ")"
	}
	if !v.Gate.Scanned {
		return v, nil
	}
	is, err := k.isImage(ctx, v.Repository, s)
	if err == nil && !is {
		v.Unscanned, v.Reason = false, "it is no image"
	}
	v.Passes = !v.Unscanned
	return v, err
}

// isImage reports whether a manifest is one that can be scanned.
func (k *Gatekeeper) isImage(ctx context.Context, repo registry.Name, s Subject) (bool, error) {
	m, err := k.store.ArchivedManifest(ctx, repo, s.Digest)
	if err != nil {
		return false, err
	}
	c, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return false, fmt.Errorf("the manifest %s of %s, which was pushed: %w", s.Digest, repo, err)
	}
	return KindOf(c) == ImageManifest, nil
}

// scanned judges an image whose findings are known.
func (k *Gatekeeper) scanned(ctx context.Context, r *rules, generation int64, v Verdict, s Subject) (Verdict, error) {
	now := k.clock()
	var b Blocking
	if err := json.Unmarshal([]byte(s.Blocking), &b); err != nil {
		return v, fmt.Errorf("what is found in %s cannot be read: %w", s.Digest, err)
	}
	if !v.Gate.mayStop(b, now) {
		return v, nil
	}
	key := verdictKey{v.Repository, s.Digest, s.MatchedAt, ""}
	x := Exclusions{Repository: v.Repository, Digest: s.Digest, Exceptions: r.exceptions}
	if !v.Gate.IgnoreVEX {
		documents, indexes, err := k.store.VEX(ctx, v.Repository, s.Digest, false)
		if err != nil {
			return v, err
		}
		key.documents = markDocuments(documents, indexes)
	}
	if known, ok := k.remembered(generation, key, now); ok {
		return known, nil
	}
	if key.documents != "" {
		var err error
		if x.Documents, x.Indexes, err = k.store.VEX(ctx, v.Repository, s.Digest, true); err != nil {
			return v, err
		}
		key.documents = markDocuments(x.Documents, x.Indexes) // which may be others by now
	}
	findings, err := k.findings(ctx, s.Digest)
	if err != nil {
		return v, err
	}
	left, out, until := x.Apply(findings, now)
	stopping, due := v.Gate.stopping(left, now)
	if until.IsZero() || !due.IsZero() && due.Before(until) {
		until = due
	}
	v.Excepted, v.until = len(out), until
	v.stop(stopping)
	k.remember(generation, key, v)
	return v, nil
}

// findings are those of an image, in the order of [Sort].
func (k *Gatekeeper) findings(ctx context.Context, d digest.Digest) ([]Finding, error) {
	kept, err := k.store.ScanFindings(ctx, d)
	if err != nil || kept == nil {
		return nil, err
	}
	findings, err := readFindings(kept)
	if err != nil {
		return nil, fmt.Errorf("the findings of %s cannot be read: %w", d, err)
	}
	Sort(findings)
	return findings, nil
}

// Except says which findings of an image exceptions and VEX documents take out. It calls
// findings only if there are any that might. It is for Except of [Options].
func (k *Gatekeeper) Except(ctx context.Context, repo registry.Name, d digest.Digest, findings func() ([]Finding, error)) ([]Excepted, error) {
	r, _, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	x := Exclusions{Repository: repo, Digest: d, Exceptions: r.exceptions}
	if x.Documents, x.Indexes, err = k.store.VEX(ctx, repo, d, false); err != nil {
		return nil, err
	}
	if len(x.Documents) > 0 {
		x.Documents, x.Indexes, err = k.store.VEX(ctx, repo, d, true)
	} else if !slices.ContainsFunc(x.Exceptions, func(e Exception) bool { return e.IsFor(repo) }) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := findings()
	if err != nil {
		return nil, err
	}
	_, out, _ := x.Apply(all, k.clock())
	return out, nil
}

// current returns the rules there are, and their generation.
func (k *Gatekeeper) current(ctx context.Context) (*rules, int64, error) {
	generation, err := k.store.RulesGeneration(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the generation of gates: %w", err)
	}
	k.mu.RLock()
	r, known := k.rules, k.generation
	k.mu.RUnlock()
	for r == nil || known != generation {
		r = &rules{}
		if r.gates, err = k.store.Gates(ctx); err != nil {
			return nil, 0, fmt.Errorf("read the gates: %w", err)
		}
		if r.exceptions, err = k.store.ExceptionsInForce(ctx); err != nil {
			return nil, 0, fmt.Errorf("read the exceptions: %w", err)
		}
		known = generation
		if generation, err = k.store.RulesGeneration(ctx); err != nil {
			return nil, 0, fmt.Errorf("read the generation of gates: %w", err)
		}
		if known == generation { // or they may be half old and half new
			k.mu.Lock()
			k.rules, k.generation, k.verdicts = r, known, map[verdictKey]Verdict{}
			k.mu.Unlock()
		}
	}
	return r, generation, nil
}

// remembered returns a verdict that still holds.
func (k *Gatekeeper) remembered(generation int64, key verdictKey, now time.Time) (Verdict, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	v, ok := k.verdicts[key]
	return v, ok && k.generation == generation && (v.until.IsZero() || now.Before(v.until))
}

func (k *Gatekeeper) remember(generation int64, key verdictKey, v Verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.generation != generation {
		return
	}
	if len(k.verdicts) >= maxVerdicts {
		clear(k.verdicts)
	}
	k.verdicts[key] = v
}
