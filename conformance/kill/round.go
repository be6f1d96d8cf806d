package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	roundsUntilComplete = 12                     // rounds between two verifications of everything
	maxStandstill       = 5 * time.Second        // of a replica that is paused
	maxAbsence          = 700 * time.Millisecond // of a replica that was killed
)

// round lets the clients work while replicas are killed, or paused for a while, one after another or several at once.
// Then all are there again, and everything that may still happen is waited for and verified.
func (r *run) round(ctx context.Context) error {
	var healing sync.WaitGroup
	defer healing.Wait()
	for range 1 + r.rng.IntN(3) {
		if err := r.wait(ctx); err != nil {
			return err
		}
		if err := r.hurt(ctx, &healing); err != nil {
			return err
		}
	}
	healing.Wait()
	r.gate.Lock()
	defer r.gate.Unlock()
	r.storm.Store(nil)
	r.late.group.Wait()
	if err := r.endDoubts(ctx); err != nil {
		return err
	}
	r.stats.rounds++
	complete := r.stats.rounds%roundsUntilComplete == 0
	if err := r.verify(ctx, complete); err != nil {
		return fmt.Errorf("after kill %d and pause %d: %w", r.stats.kills, r.stats.pauses, err)
	}
	if r.options.progress && complete {
		fmt.Printf("%d kills and %d pauses in %v\n", r.stats.kills, r.stats.pauses, time.Since(r.stats.began).Round(time.Second))
	}
	return context.Cause(ctx)
}

// hurt kills or pauses some replicas and sees to it that they are back after a while. Mostly it is one, sometimes all.
func (r *run) hurt(ctx context.Context, healing *sync.WaitGroup) error {
	alive := r.registry.alive()
	if len(alive) == 0 {
		return nil
	}
	n := 1
	switch r.rng.IntN(6) {
	case 0:
		n = 1 + r.rng.IntN(len(alive))
	case 1:
		n = len(alive)
	}
	pause := r.rng.IntN(5) < 2
	for _, i := range r.rng.Perm(len(alive))[:min(n, len(alive))] {
		p := alive[i]
		if pause {
			if p.pauses.Load()%2 == 0 {
				r.stats.pauses++
				p.pauses.Add(1)
				d := r.someTime(maxStandstill)
				healing.Go(func() { r.failWith(p.pause(ctx, d)) })
			}
			continue
		}
		if err := p.kill(); err != nil {
			return err
		}
		r.stats.kills++
		d, early := r.someTime(maxAbsence), r.rng.IntN(6) == 0
		healing.Go(func() { r.failWith(r.comeBack(ctx, p.number, d, early)) })
	}
	return nil
}

// someTime is mostly short.
func (r *run) someTime(most time.Duration) time.Duration {
	x := r.rng.Float64()
	return time.Duration(x * x * float64(most))
}

// comeBack starts a replica after a while, and with early kills it once while it starts.
func (r *run) comeBack(ctx context.Context, number int, after time.Duration, early bool) error {
	if err := sleep(ctx, after); err != nil {
		return err
	}
	if early {
		if err := r.registry.killEarly(ctx, after%maxStart); err != nil {
			return err
		}
		r.stats.mu.Lock()
		r.stats.earlyKills++
		r.stats.mu.Unlock()
	}
	if err := r.start(ctx, number); err != nil {
		return fmt.Errorf("violation: replica %d does not start again: %w", number, err)
	}
	return nil
}

func (r *run) failWith(err error) {
	if err != nil {
		r.fail(err)
	}
}

// endDoubts sees to it that nothing comes any more of what the clients have asked for. A replica on which a client has
// hung up may be at that request for ever, as far as we know, so it is killed; and what the dead had last asked of the
// database is waited for.
func (r *run) endDoubts(ctx context.Context) error {
	var errs []error
	for _, p := range r.registry.alive() {
		if p.limbo.Load() == 0 {
			continue
		}
		r.stats.hungUp++
		errs = append(errs, p.kill(), r.start(ctx, p.number))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return r.registry.cluster.Postgres.Rest(ctx)
}
