package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"berth/conformance/internal/audit"
)

const (
	completeEvery = 25                     // kills between two verifications of everything
	maxPause      = 600 * time.Millisecond // of work between a restart and the next kill
	maxStorm      = 40 * time.Millisecond  // of a storm before its kill
	maxStart      = 60 * time.Millisecond  // of a process that is killed while it starts
)

// run is one run of this program.
type run struct {
	*lab
	options  options
	clients  []*client
	verifier *verifier
	rng      *rand.Rand
	gate     sync.RWMutex // held for reading by a client at work, for writing while all rest
	fail     context.CancelCauseFunc
	stats    stats
}

// newRun prepares the clients. All chance comes from the seed; what the scheduler does with it is another matter.
func newRun(o options, dir string) *run {
	var repos, tags []string
	for i := range 4 {
		repos = append(repos, fmt.Sprintf("team%d/app", i))
	}
	for i := range 24 {
		tags = append(tags, fmt.Sprintf("v1.%02d", i))
	}
	l := &lab{
		model: newModel(repos, tags), library: newLibrary(), tags: tags,
		registry: &registry{binary: o.berth, dir: dir},
		parts:    o.replicas > 1,
	}
	if !o.model {
		l.model.collects(o.grace)
		l.registry.args = []string{"--gc-grace", o.grace.String()}
	}
	rng := rand.New(rand.NewPCG(o.seed, 1<<33))
	l.popular = makePopular(rng, l.library, l.parts)
	r := &run{lab: l, options: o, verifier: newVerifier(l, o.seed), rng: rng}
	for i := range o.clients {
		r.clients = append(r.clients, newClient(l, i, o.seed))
	}
	return r
}

// do runs the whole: work and kills, then the last look.
func (r *run) do(ctx context.Context) (err error) {
	ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	r.late.fail = r.fail
	r.stats.began = time.Now()
	defer func() { err = errors.Join(err, r.registry.close()) }()
	if err := r.registry.prepare(ctx, r.options.replicas); err != nil {
		return err
	}
	if err := r.startAll(ctx); err != nil {
		return err
	}
	work := r.workUntilKilled
	if r.options.model {
		work = r.workInSteps
	}
	err = errors.Join(work(ctx), context.Cause(ctx))
	if err == nil {
		err = r.verify(ctx, true)
	}
	err = errors.Join(err, r.registry.stop())
	if err != nil {
		return err
	}
	return r.inspect(ctx)
}

// startAll starts all processes, one after the other.
func (r *run) startAll(ctx context.Context) error {
	for number := range r.registry.running {
		if err := r.start(ctx, number); err != nil {
			return err
		}
	}
	return nil
}

// start starts a process.
func (r *run) start(ctx context.Context, number int) error {
	took, err := r.registry.start(ctx, number)
	if err != nil {
		return err
	}
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	r.stats.starts = append(r.stats.starts, took)
	return nil
}

// workUntilKilled has the clients work while berth is killed and started.
func (r *run) workUntilKilled(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, c := range r.clients {
		wg.Go(func() { r.work(ctx, c) })
	}
	cycle := r.cycle
	if r.registry.replicated() {
		cycle = r.round
	}
	var err error
	for r.stats.kills+r.stats.pauses < r.options.kills && err == nil {
		err = cycle(ctx)
	}
	stop()
	wg.Wait()
	return err
}

// work is the life of a client.
func (r *run) work(ctx context.Context, c *client) {
	for ctx.Err() == nil {
		r.gate.RLock()
		var err error
		if len(r.registry.alive()) > 0 { // else there is nobody to ask
			err = c.step()
		} else {
			time.Sleep(time.Millisecond)
		}
		r.gate.RUnlock()
		if err != nil && !errors.Is(err, errNoAnswer) {
			r.fail(err)
		}
	}
}

// workInSteps has the clients do a number of things, without kills.
func (r *run) workInSteps(ctx context.Context) error {
	return inParallel(ctx, r.clients, make([]struct{}, r.options.steps), func(c *client, _ struct{}) error {
		return c.step()
	})
}

// cycle lets the clients work for a while, kills berth, starts it again and verifies.
func (r *run) cycle(ctx context.Context) error {
	if err := r.wait(ctx); err != nil {
		return err
	}
	if err := r.registry.running[0].kill(); err != nil {
		return err
	}
	r.stats.kills++
	r.gate.Lock() // at once: what they had asked for has broken off
	defer r.gate.Unlock()
	for r.rng.IntN(6) == 0 {
		if err := r.registry.killEarly(ctx, time.Duration(r.rng.Int64N(int64(maxStart)))); err != nil {
			return err
		}
		r.stats.earlyKills++
	}
	if err := r.start(ctx, 0); err != nil {
		return fmt.Errorf("violation: after kill %d berth does not start again: %w", r.stats.kills, err)
	}
	r.storm.Store(nil)
	err := r.verify(ctx, r.stats.kills%completeEvery == 0)
	if err != nil {
		return fmt.Errorf("after kill %d: %w", r.stats.kills, err)
	}
	if r.options.progress && r.stats.kills%completeEvery == 0 {
		fmt.Printf("%d kills in %v\n", r.stats.kills, time.Since(r.stats.began).Round(time.Second))
	}
	return nil
}

// collect has all garbage removed, and says how much there was since the beginning.
func (r *run) collect(ctx context.Context, data audit.Data) (audit.Collected, error) {
	const none = time.Nanosecond
	r.model.collects(none)
	collected, err := data.Collect(ctx, none)
	if err == nil && !r.options.model && r.stats.kills > 10 && collected.During == 0 {
		err = fmt.Errorf("this run shows nothing of garbage collection: %+v", collected)
	}
	return collected, err
}

// wait waits for the moment of the next kill. Two in five come out of a storm.
func (r *run) wait(ctx context.Context) error {
	wait := time.Duration(r.rng.Int64N(int64(maxPause)))
	if r.rng.IntN(5) < 2 {
		s, err := newStorm(r.rng, r.lab)
		if err != nil {
			return err
		}
		if err := sleep(ctx, wait/4); err != nil {
			return err
		}
		r.storm.Store(s)
		r.stats.storms++
		wait = time.Duration(r.rng.Int64N(int64(maxStorm)))
	}
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// verify compares everything, or a part, with the model.
func (r *run) verify(ctx context.Context, everything bool) error {
	err := r.verifier.verify(ctx, r.clients, everything)
	r.stats.add(r.verifier.found, everything)
	return err
}

// inspect has berth check its folder, gives up all uploads, checks again and looks at everything for a last time.
func (r *run) inspect(ctx context.Context) (err error) {
	data := r.registry.data()
	if r.stats.fsck, err = data.Fsck(ctx); err != nil {
		return err
	}
	if r.stats.expired, err = data.Expire(ctx); err != nil {
		return err
	}
	for _, c := range r.clients {
		c.uploads = nil
	}
	again, err := data.Fsck(ctx)
	if err != nil {
		return fmt.Errorf("after berth gc: %w", err)
	}
	if again.Blobs != r.stats.fsck.Blobs || again.Orphans > r.stats.fsck.Orphans {
		return fmt.Errorf("violation: after berth gc there are %d blobs and %d orphans, before there were %d and %d",
			again.Blobs, again.Orphans, r.stats.fsck.Blobs, r.stats.fsck.Orphans)
	}
	if r.stats.collected, err = r.collect(ctx, data); err != nil {
		return err
	}
	if again, err = data.Fsck(ctx); err != nil {
		return fmt.Errorf("after berth gc: %w", err)
	}
	if named := r.verifier.named(); again.Blobs != named || again.Orphans > 0 {
		return fmt.Errorf("violation: after garbage collection there are %d blobs, and manifests name %d; %d objects are orphans",
			again.Blobs, named, again.Orphans)
	}
	if r.registry.cluster != nil {
		if r.stats.swept, err = data.Swept(again); err != nil {
			return err
		}
	}
	if err := r.startAll(ctx); err != nil {
		return err
	}
	return errors.Join(r.verify(ctx, true), r.registry.stop())
}
