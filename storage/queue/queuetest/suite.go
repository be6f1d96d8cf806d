package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/storage/queue"
)

// Subject is a store that is tested, and how jobs get into it.
type Subject struct {
	queue.Store

	// Transact calls fn in a transaction, which an error of fn rolls back. Within it,
	// enqueue adds a job.
	Transact func(ctx context.Context, fn func(enqueue func(queue.NewJob) error) error) error
}

// Run checks that a store does what queue.Store says, and that workers can rely on it.
// open returns an empty store for each test and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"order":               testOrder,
		"job":                 testJob,
		"retry":               testRetry,
		"postpone":            testPostpone,
		"release":             testRelease,
		"giving up":           testGiveUp,
		"lost lease":          testLostLease,
		"extended lease":      testExtend,
		"key":                 testKey,
		"key of a leased job": testKeyOfLeased,
		"key of a failed job": testKeyOfFailed,
		"pages":               testPages,
		"rollback":            testRollback,
		"bell":                testBell,
		"many at once":        testManyAtOnce,
		"thousand jobs":       testThousandJobs,
		"one at a time":       testOneAtATime,
		"paused worker":       testPausedWorker,
		"dead worker":         testDeadWorker,
		"wake-up":             testWakeUp,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// long is a lease that does not run out during a test.
const long = time.Minute

// want fails the test unless err is expected, which may be nil.
func want(t *testing.T, what string, err, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("%s: got error %v, want %v", what, err, expected)
	}
}

func (s Subject) enqueue(t *testing.T, jobs ...queue.NewJob) {
	t.Helper()
	err := s.Transact(t.Context(), func(enqueue func(queue.NewJob) error) error {
		for _, j := range jobs {
			if err := enqueue(j); err != nil {
				return err
			}
		}
		return nil
	})
	want(t, "enqueuing", err, nil)
}

func (s Subject) lease(t *testing.T, kinds ...string) queue.Job {
	t.Helper()
	j, err := s.LeaseJob(t.Context(), kinds, long)
	want(t, "LeaseJob", err, nil)
	return j
}

func (s Subject) nothingDue(t *testing.T, kinds ...string) {
	t.Helper()
	j, err := s.LeaseJob(t.Context(), kinds, long)
	if !errors.Is(err, queue.ErrNothingDue) {
		t.Fatalf("LeaseJob: got %+v, %v, want nothing", j, err)
	}
}

func (s Subject) list(t *testing.T, f queue.Filter) []queue.Job {
	t.Helper()
	all, err := s.Jobs(t.Context(), f, 0, 100)
	want(t, "Jobs", err, nil)
	return all
}

// only returns the one job there is.
func (s Subject) only(t *testing.T, state queue.State) queue.Job {
	t.Helper()
	all := s.list(t, queue.Filter{})
	if len(all) != 1 || all[0].State != state {
		t.Fatalf("got %+v, want one job that is %s", all, state)
	}
	return all[0]
}

func testOrder(t *testing.T, s Subject) {
	now := time.Now()
	s.enqueue(
		t,
		queue.NewJob{Kind: "a", Payload: 2, DueAt: now.Add(-20 * time.Minute)},
		queue.NewJob{Kind: "b", Payload: 1, DueAt: now.Add(-30 * time.Minute)},
		queue.NewJob{Kind: "a", Payload: 3, DueAt: now.Add(-10 * time.Minute)},
		queue.NewJob{Kind: "other", Payload: 0, DueAt: now.Add(-time.Hour)},
		queue.NewJob{Kind: "a", Payload: 4},
		queue.NewJob{Kind: "a", Payload: 5, DueAt: now.Add(time.Hour)},
	)
	s.nothingDue(t)
	s.nothingDue(t, "c")
	for _, expected := range []string{"1", "2", "3", "4"} {
		if j := s.lease(t, "a", "b", "c"); string(j.Payload) != expected {
			t.Errorf("got job %s, want %s", j.Payload, expected)
		}
	}
	s.nothingDue(t, "a", "b", "c")
}

func testJob(t *testing.T, s Subject) {
	s.enqueue(t, queue.NewJob{Kind: "k", Key: "key", Payload: map[string]any{"a": []string{"<ä>", "\x00"}}})
	j := s.lease(t, "k")
	var payload map[string][]string
	want(t, "the payload", json.Unmarshal(j.Payload, &payload), nil)
	if diff := cmp.Diff(map[string][]string{"a": {"<ä>", "\x00"}}, payload); diff != "" {
		t.Error(diff)
	}
	if j.ID <= 0 || j.Kind != "k" || j.Key != "key" || j.State != queue.Leased || j.Attempts != 1 || j.Reason != "" || j.Lease == 0 {
		t.Errorf("got %+v", j)
	}
	if off := time.Until(j.DueAt) - long; off.Abs() > 10*time.Second {
		t.Errorf("the lease ends at %s", j.DueAt)
	}
	if age := time.Since(j.CreatedAt); age.Abs() > 10*time.Second {
		t.Errorf("the job has been created at %s", j.CreatedAt)
	}
	listed := s.only(t, queue.Leased)
	j.Lease = 0
	if diff := cmp.Diff(j, listed); diff != "" {
		t.Errorf("the job is listed differently (-leased +listed):\n%s", diff)
	}
	err := s.Transact(t.Context(), func(enqueue func(queue.NewJob) error) error {
		return enqueue(queue.NewJob{Kind: "k", Payload: func() {}})
	})
	if err == nil {
		t.Error("a payload that is not JSON was accepted")
	}
}

func testPages(t *testing.T, s Subject) {
	ctx := t.Context()
	for range 5 {
		s.enqueue(t, queue.NewJob{Kind: "a"}, queue.NewJob{Kind: "b"})
	}
	for range 3 {
		want(t, "GiveUpJob", s.GiveUpJob(ctx, s.lease(t, "a"), "no"), nil)
	}
	for _, test := range []struct {
		filter queue.Filter
		want   int
	}{
		{queue.Filter{}, 10},
		{queue.Filter{Kind: "a"}, 5},
		{queue.Filter{Kind: "c"}, 0},
		{queue.Filter{State: queue.Failed}, 3},
		{queue.Filter{State: queue.Waiting}, 7},
		{queue.Filter{State: queue.Waiting, Kind: "a"}, 2},
		{queue.Filter{State: queue.Leased}, 0},
	} {
		n, last := 0, int64(0)
		for {
			page, err := s.Jobs(ctx, test.filter, last, 2)
			want(t, "Jobs", err, nil)
			for _, j := range page {
				if j.ID <= last {
					t.Errorf("%+v: job %d comes after %d", test.filter, j.ID, last)
				}
				last = j.ID
			}
			n += len(page)
			if len(page) < 2 {
				break
			}
		}
		if n != test.want {
			t.Errorf("%+v: %d jobs, want %d", test.filter, n, test.want)
		}
	}
}

func testRollback(t *testing.T, s Subject) {
	no := errors.New("no")
	err := s.Transact(t.Context(), func(enqueue func(queue.NewJob) error) error {
		want(t, "enqueuing", enqueue(queue.NewJob{Kind: "k"}), nil)
		return no
	})
	want(t, "Transact", err, no)
	s.nothingDue(t, "k")
	if all := s.list(t, queue.Filter{}); len(all) != 0 {
		t.Errorf("the transaction left %+v behind", all)
	}
}

// rung waits for a channel of JobsDue.
func rung(t *testing.T, due <-chan struct{}) {
	t.Helper()
	select {
	case <-due:
	case <-time.After(5 * time.Second):
		t.Error("nobody was told that a job is due")
	}
}

func testBell(t *testing.T, s Subject) {
	for range 3 {
		one, two := s.JobsDue(), s.JobsDue()
		s.enqueue(t, queue.NewJob{Kind: "k"})
		rung(t, one)
		rung(t, two)
		s.lease(t, "k") // what has rung has been committed
	}
}

// testManyAtOnce has many lease at the same time.
func testManyAtOnce(t *testing.T, s Subject) {
	const jobs = 200
	for range jobs / 20 {
		batch := make([]queue.NewJob, 20)
		for i := range batch {
			batch[i].Kind = []string{"a", "b"}[i%2]
		}
		s.enqueue(t, batch...)
	}
	var mu sync.Mutex
	seen := map[int64]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				j, err := s.LeaseJob(t.Context(), []string{"a", "b"}, long)
				if errors.Is(err, queue.ErrNothingDue) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[j.ID]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %d was leased %d times", id, n)
		}
	}
	if len(seen) != jobs {
		t.Errorf("%d jobs were leased, want %d", len(seen), jobs)
	}
}
