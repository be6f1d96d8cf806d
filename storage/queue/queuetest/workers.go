package queuetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/storage/queue"
)

// crew are workers that run.
type crew struct {
	work sync.WaitGroup
	end  context.CancelFunc
}

// run starts workers, which end with the test or before.
func run(t *testing.T, workers ...*queue.Worker) *crew {
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &crew{end: end}
	for _, w := range workers {
		c.work.Go(func() { w.Run(ctx) })
	}
	t.Cleanup(c.stop)
	return c
}

func (c *crew) stop() {
	c.end()
	c.work.Wait()
}

func handlers(do func(ctx context.Context, j queue.Job) error) map[string]queue.Handler {
	return map[string]queue.Handler{"k": {Do: do, Attempts: 100}}
}

// quickly keeps tests short.
func quickly(int) time.Duration { return time.Millisecond }

// until waits for something to become true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (s Subject) empty(t *testing.T) func() bool {
	return func() bool {
		counts, err := s.CountJobs(t.Context())
		want(t, "CountJobs", err, nil)
		return len(counts) == 0
	}
}

// testThousandJobs: while nothing fails each job is done once.
func testThousandJobs(t *testing.T, s Subject) {
	const jobs, workers = 1000, 4
	var done [jobs]atomic.Int32
	do := queue.Handle(func(_ context.Context, n int) error {
		done[n].Add(1)
		return nil
	})
	var crew []*queue.Worker
	for range workers {
		crew = append(crew, queue.NewWorker(s, map[string]queue.Handler{"k": do}, queue.Options{}))
	}
	run(t, crew...)
	for first := 0; first < jobs; first += 100 { // the workers have begun meanwhile
		var batch []queue.NewJob
		for n := first; n < first+100; n++ {
			batch = append(batch, queue.NewJob{Kind: "k", Payload: n})
		}
		s.enqueue(t, batch...)
	}
	until(t, "all jobs are done", s.empty(t))
	for n := range done {
		if times := done[n].Load(); times != 1 {
			t.Errorf("job %d was done %d times", n, times)
		}
	}
}

// testOneAtATime: while leases hold nobody does a job that somebody else is doing,
// though some fail and most outlast their first lease.
func testOneAtATime(t *testing.T, s Subject) {
	const jobs = 15
	var mu sync.Mutex
	doing, done := map[int64]bool{}, map[int64]bool{}
	do := func(ctx context.Context, j queue.Job) error {
		mu.Lock()
		if doing[j.ID] {
			t.Errorf("job %d is done by two", j.ID)
		}
		if done[j.ID] {
			t.Errorf("job %d is done again", j.ID)
		}
		doing[j.ID] = true
		mu.Unlock()
		select {
		case <-ctx.Done(): // the machine is too busy for the lease to be kept
		case <-time.After(rand.N(1500 * time.Millisecond)):
		}
		mu.Lock()
		defer mu.Unlock()
		doing[j.ID] = false
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rand.N(4) == 0 {
			return errors.New("bad luck")
		}
		done[j.ID] = true
		return nil
	}
	for range jobs {
		s.enqueue(t, queue.NewJob{Kind: "k"})
	}
	opts := queue.Options{Lease: time.Second, Poll: 20 * time.Millisecond, Backoff: quickly, Concurrency: 5}
	run(t, queue.NewWorker(s, handlers(do), opts), queue.NewWorker(s, handlers(do), opts))
	until(t, "all jobs are done", s.empty(t))
	if len(done) != jobs {
		t.Errorf("%d jobs were done, want %d", len(done), jobs)
	}
}

// paused is the store of a worker that stands still.
type paused struct{ queue.Store }

func (paused) ExtendJob(ctx context.Context, _ queue.Job, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// testPausedWorker: a worker that stands still for longer than its lease loses the job
// to another one, is told so, and cannot end it any more.
func testPausedWorker(t *testing.T, s Subject) {
	begun, lost, finished := make(chan struct{}), make(chan error, 1), make(chan struct{})
	slow := queue.NewWorker(paused{s}, handlers(func(ctx context.Context, j queue.Job) error {
		close(begun)
		<-ctx.Done()
		lost <- context.Cause(ctx)
		<-finished
		return nil // though it comes too late
	}), queue.Options{Lease: 500 * time.Millisecond})
	s.enqueue(t, queue.NewJob{Kind: "k"})
	first := run(t, slow)
	<-begun
	attempts := make(chan int, 1)
	run(t, queue.NewWorker(s, handlers(func(ctx context.Context, j queue.Job) error {
		attempts <- j.Attempts
		return nil
	}), queue.Options{Poll: 20 * time.Millisecond}))
	if cause := <-lost; !errors.Is(cause, queue.ErrLeaseLost) {
		t.Errorf("the context of a handler without lease ended with %v", cause)
	}
	if n := <-attempts; n != 2 {
		t.Errorf("the second worker made attempt %d", n)
	}
	until(t, "the job is done", s.empty(t))
	s.enqueue(t, queue.NewJob{Kind: "other"})
	close(finished)
	first.stop()
	s.only(t, queue.Waiting)
}

// testDeadWorker: the job of a worker that has died in the middle is done by another
// one when the lease has run out.
func testDeadWorker(t *testing.T, s Subject) {
	s.enqueue(t, queue.NewJob{Kind: "k"})
	const lease = 300 * time.Millisecond
	dead, err := s.LeaseJob(t.Context(), []string{"k"}, lease)
	want(t, "LeaseJob", err, nil)
	died := time.Now()
	done := make(chan queue.Job, 1)
	run(t, queue.NewWorker(s, handlers(func(ctx context.Context, j queue.Job) error {
		done <- j
		return nil
	}), queue.Options{Poll: 20 * time.Millisecond}))
	j := <-done
	if j.ID != dead.ID || j.Attempts != 2 {
		t.Errorf("after %+v came %+v", dead, j)
	}
	if after := time.Since(died); after < lease/2 {
		t.Errorf("the job was taken over after %s, in the middle of its lease", after)
	}
	until(t, "the job is done", s.empty(t))
}

// testWakeUp: a worker that waits begins at once.
func testWakeUp(t *testing.T, s Subject) {
	begun := make(chan time.Time, 1)
	run(t, queue.NewWorker(s, handlers(func(context.Context, queue.Job) error {
		begun <- time.Now()
		return nil
	}), queue.Options{Poll: time.Hour}))
	best := time.Hour
	for range 5 { // something else may keep the machine busy
		time.Sleep(50 * time.Millisecond)
		added := time.Now()
		s.enqueue(t, queue.NewJob{Kind: "k"})
		best = min(best, (<-begun).Sub(added))
	}
	if best >= 100*time.Millisecond {
		t.Errorf("a job began %s after it had been added", best)
	}
}
