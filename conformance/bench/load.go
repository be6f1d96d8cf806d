package main

import (
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// effort is what a load took.
type effort struct {
	wall    time.Duration
	cpu     time.Duration // of the server
	ops     int
	latency []time.Duration // of each operation, in no order
}

// perThousand is the server's CPU time for a thousand operations, in seconds.
func (e effort) perThousand() float64 { return e.cpu.Seconds() / float64(e.ops) * 1000 }

// perSecond is how many operations ended in a second.
func (e effort) perSecond() float64 { return float64(e.ops) / e.wall.Seconds() }

// measure runs f in every worker and takes the time of both sides. f does operations, calling done after each with the
// time that it began, until it has no more to do.
func measure(pid, workers int, f func(worker int, done func(begun time.Time)) error) (effort, error) {
	var e effort
	before, err := cpuTime(pid)
	if err != nil {
		return e, err
	}
	var mu sync.Mutex
	var g errgroup.Group
	begun := time.Now()
	for w := range workers {
		g.Go(func() error {
			var own []time.Duration
			err := f(w, func(begun time.Time) { own = append(own, time.Since(begun)) })
			mu.Lock()
			defer mu.Unlock()
			e.latency = append(e.latency, own...)
			return err
		})
	}
	err = g.Wait()
	e.wall = time.Since(begun)
	if err != nil {
		return e, err
	}
	after, err := cpuTime(pid)
	e.cpu, e.ops = after-before, len(e.latency)
	return e, err
}

// measureFor runs f again and again in every worker until the time is over.
func measureFor(d time.Duration, pid, workers int, f func(worker, n int) error) (effort, error) {
	end := time.Now().Add(d)
	return measure(pid, workers, func(worker int, done func(time.Time)) error {
		for n := 0; time.Now().Before(end); n++ {
			begun := time.Now()
			if err := f(worker, n); err != nil {
				return err
			}
			done(begun)
		}
		return nil
	})
}

// share has workers do f for every number below total, for work that is not measured.
func share(workers, total int, f func(n int) error) error {
	var g errgroup.Group
	g.SetLimit(workers)
	for n := range total {
		g.Go(func() error { return f(n) })
	}
	return g.Wait()
}
