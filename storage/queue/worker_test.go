package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"berth/storage/queue"
	"berth/storage/queue/queuetest"
)

// start runs a worker in a bubble of made-up time until the test ends, or stop is
// called.
func start(t *testing.T, s queue.Store, h queue.Handler, opts queue.Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		queue.NewWorker(s, map[string]queue.Handler{"k": h}, opts).Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, m *queuetest.Memory, jobs ...queue.NewJob) {
	t.Helper()
	if err := m.Enqueue(jobs...); err != nil {
		t.Fatal(err)
	}
}

func only(t *testing.T, m *queuetest.Memory) queue.Job {
	t.Helper()
	all, err := m.Jobs(t.Context(), queue.Filter{}, 0, 10)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v, want one job", all, err)
	}
	return all[0]
}

// TestFailing has a job fail until it is given up.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		var at []time.Time
		var outcomes []queue.Outcome
		stop := start(t, m, queue.Handler{Attempts: 16, Do: func(_ context.Context, j queue.Job) error {
			at = append(at, time.Now())
			return fmt.Errorf("attempt %d: no", j.Attempts)
		}}, queue.Options{Observe: func(kind string, o queue.Outcome, _ time.Duration) { outcomes = append(outcomes, o) }})
		enqueue(t, m, queue.NewJob{Kind: "k"})
		time.Sleep(24 * time.Hour)
		stop()
		if j := only(t, m); j.State != queue.Failed || j.Reason != "attempt 16: no" || j.Attempts != 16 {
			t.Errorf("got %+v", j)
		}
		if len(at) != 16 {
			t.Fatalf("there were %d attempts, want 16", len(at))
		}
		for i := range at[1:] {
			longest := min(2*time.Second<<i, time.Hour)
			const poll = 2 * time.Second
			if pause := at[i+1].Sub(at[i]); pause < longest/2 || pause > longest+poll {
				t.Errorf("after attempt %d came a pause of %s, want up to %s", i+1, pause, longest)
			}
		}
		expected := append(slices.Repeat([]queue.Outcome{queue.Retried}, 15), queue.GivenUp)
		if !slices.Equal(outcomes, expected) {
			t.Errorf("told: %q", outcomes)
		}
	})
}

// TestLater puts a job off more often than it could have failed.
func TestLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		var outcomes []queue.Outcome
		began := time.Now()
		stop := start(t, m, queue.Handler{Attempts: 2, Do: func(context.Context, queue.Job) error {
			if time.Since(began) < 100*time.Hour {
				return fmt.Errorf("not yet: %w", queue.Later(10*time.Hour, "too early"))
			}
			return nil
		}}, queue.Options{Observe: func(kind string, o queue.Outcome, _ time.Duration) { outcomes = append(outcomes, o) }})
		enqueue(t, m, queue.NewJob{Kind: "k"})
		time.Sleep(time.Hour)
		if j := only(t, m); j.State != queue.Waiting || j.Reason != "not yet: too early" || j.Attempts != 0 || j.DueAt.Sub(began) < 10*time.Hour {
			t.Errorf("got %+v", j)
		}
		time.Sleep(110 * time.Hour)
		stop()
		if expected := append(slices.Repeat([]queue.Outcome{queue.Postponed}, 10), queue.Done); !slices.Equal(outcomes, expected) {
			t.Errorf("told: %q", outcomes)
		}
	})
}

func TestGivenUpAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		handler queue.Handler
		reason  string
	}{
		"permanent":           {queue.Handler{Do: func(context.Context, queue.Job) error { return queue.Permanent(errors.New("never")) }}, "never"},
		"permanent, wrapped":  {queue.Handler{Do: func(context.Context, queue.Job) error { return fmt.Errorf("x: %w", queue.Permanent(errors.New("y"))) }}, "x: y"},
		"payload":             {queue.Handle(func(context.Context, int) error { return nil }), "the payload: "},
		"one attempt":         {queue.Handler{Attempts: 1, Do: func(context.Context, queue.Job) error { return errors.New("no") }}, "no"},
		"panic":               {queue.Handler{Attempts: 1, Do: func(context.Context, queue.Job) error { panic("oh") }}, "panic: oh"},
		"panic with an error": {queue.Handler{Attempts: 1, Do: func(context.Context, queue.Job) error { return nilHandler(nil) }}, "panic: runtime error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &queuetest.Memory{}
				start(t, m, test.handler, queue.Options{})
				enqueue(t, m, queue.NewJob{Kind: "k", Payload: "text"})
				synctest.Wait()
				if j := only(t, m); j.State != queue.Failed || !strings.HasPrefix(j.Reason, test.reason) {
					t.Errorf("got %+v", j)
				}
			})
		})
	}
}

func nilHandler(p *queue.Job) error { return errors.New(p.Reason) }

func TestReasonIsText(t *testing.T) {
	for _, text := range []string{"\xff\x00", strings.Repeat("ä", 5000), strings.Repeat("\xffä", 400) + "x"} {
		synctest.Test(t, func(t *testing.T) {
			m := &queuetest.Memory{}
			start(t, m, queue.Handler{Do: func(context.Context, queue.Job) error { return queue.Permanent(errors.New(text)) }}, queue.Options{})
			enqueue(t, m, queue.NewJob{Kind: "k"})
			synctest.Wait()
			if r := only(t, m).Reason; !utf8.ValidString(r) || strings.Contains(r, "\x00") || len(r) > 1000 || r == "" {
				t.Errorf("%d bytes are kept: %q", len(r), r)
			}
		})
	}
}

// TestPoll: what becomes due by the passing of time, nobody tells.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		done := make(chan time.Time, 1)
		start(t, m, queue.Handler{Do: func(context.Context, queue.Job) error { done <- time.Now(); return nil }}, queue.Options{})
		due := time.Now().Add(5 * time.Minute)
		enqueue(t, m, queue.NewJob{Kind: "k", DueAt: due}, queue.NewJob{Kind: "unknown"})
		if late := (<-done).Sub(due); late < 0 || late > 5*time.Second {
			t.Errorf("a job began %s after its time", late)
		}
		synctest.Wait()
		if j := only(t, m); j.Kind != "unknown" || j.State != queue.Waiting {
			t.Errorf("got %+v", j)
		}
	})
}

func TestLeaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		var begun, done atomic.Int32
		long := queue.Handler{Do: func(ctx context.Context, j queue.Job) error {
			begun.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				done.Add(1)
				return nil
			}
		}}
		start(t, m, long, queue.Options{})
		start(t, m, long, queue.Options{})
		enqueue(t, m, queue.NewJob{Kind: "k"})
		time.Sleep(2 * time.Hour)
		if begun.Load() != 1 || done.Load() != 1 {
			t.Errorf("begun %d times, done %d times", begun.Load(), done.Load())
		}
	})
}

// forgetful is a store that cannot be reached to extend a lease.
type forgetful struct {
	*queuetest.Memory
	down atomic.Bool
}

func (f *forgetful) ExtendJob(ctx context.Context, j queue.Job, d time.Duration) error {
	if f.down.Load() {
		return errors.New("no connection")
	}
	return f.Memory.ExtendJob(ctx, j, d)
}

// TestUnreachableStore: when a lease can no longer be relied on its handler is told, in
// time.
func TestUnreachableStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &forgetful{Memory: &queuetest.Memory{}}
		ended := make(chan error, 1)
		stop := start(t, s, queue.Handler{Do: func(ctx context.Context, j queue.Job) error {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		}}, queue.Options{Lease: time.Minute})
		enqueue(t, s.Memory, queue.NewJob{Kind: "k"})
		time.Sleep(10*time.Minute + time.Second)
		s.down.Store(true)
		down := time.Now()
		if err := <-ended; !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("the handler ended with %v", err)
		}
		if after := time.Since(down); after > time.Minute {
			t.Errorf("the handler was told after %s", after)
		}
		stop()
		if j := only(t, s.Memory); j.State != queue.Waiting {
			t.Errorf("got %+v", j)
		}
	})
}

// TestShutdown: a worker waits for its handlers, keeps the leases of those that need a
// moment, and gives back what they leave undone.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		stop := start(t, m, queue.Handler{Do: func(ctx context.Context, j queue.Job) error {
			<-ctx.Done()
			time.Sleep(10 * time.Minute)
			if string(j.Payload) == "1" {
				return nil
			}
			return ctx.Err()
		}}, queue.Options{Concurrency: 2})
		enqueue(t, m, queue.NewJob{Kind: "k", Payload: 1}, queue.NewJob{Kind: "k", Payload: 2}, queue.NewJob{Kind: "k", Payload: 3})
		synctest.Wait()
		go func() {
			time.Sleep(9 * time.Minute)
			if counts, _ := m.CountJobs(t.Context()); counts[queue.Leased] != 2 {
				t.Errorf("of two jobs under way %d are leased", counts[queue.Leased])
			}
			if j, err := m.LeaseJob(t.Context(), []string{"k"}, time.Hour); err != nil || string(j.Payload) != "3" {
				t.Errorf("got %+v, %v", j, err)
			} else {
				m.FinishJob(t.Context(), j)
			}
		}()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("the worker ended after %s", took)
		}
		if j := only(t, m); string(j.Payload) != "2" || j.State != queue.Waiting || j.Attempts != 0 || j.DueAt.After(time.Now()) {
			t.Errorf("got %+v", j)
		}
	})
}

// TestKiller is about a job whose workers die of it.
func TestKiller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		enqueue(t, m, queue.NewJob{Kind: "k"})
		for range 3 {
			if _, err := m.LeaseJob(t.Context(), []string{"k"}, time.Second); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		w := queue.NewWorker(m, map[string]queue.Handler{"k": {Attempts: 3, Do: func(context.Context, queue.Job) error {
			t.Error("a job that has killed three workers is tried on a fourth")
			return nil
		}}}, queue.Options{})
		if err := w.RunDue(t.Context()); err != nil {
			t.Error(err)
		}
		if j := only(t, m); j.State != queue.Failed || !strings.Contains(j.Reason, "died") {
			t.Errorf("got %+v", j)
		}
	})
}

// TestRunDue does what is due, and what follows from that, and no more.
func TestRunDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &queuetest.Memory{}
		done := atomic.Int32{}
		w := queue.NewWorker(m, map[string]queue.Handler{"k": queue.Handle(func(_ context.Context, n int) error {
			time.Sleep(time.Second)
			done.Add(1)
			if n > 0 {
				return m.Enqueue(queue.NewJob{Kind: "k", Payload: n - 1})
			}
			return nil
		})}, queue.Options{Concurrency: 2})
		enqueue(t, m, queue.NewJob{Kind: "k", Payload: 3}, queue.NewJob{Kind: "k"}, queue.NewJob{Kind: "k", DueAt: time.Now().Add(time.Hour)})
		if err := w.RunDue(t.Context()); err != nil {
			t.Error(err)
		}
		if done.Load() != 5 {
			t.Errorf("%d jobs were done, want 5", done.Load())
		}
		only(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.RunDue(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBackoff(t *testing.T) {
	for attempts := range 100 {
		if d := queue.Backoff(attempts); d < time.Second || d > time.Hour {
			t.Errorf("after %d attempts comes a pause of %s", attempts, d)
		}
	}
}
