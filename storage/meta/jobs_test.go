package meta_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"berth/storage/meta"
	"berth/storage/meta/pgtest"
	"berth/storage/queue"
	"berth/storage/queue/queuetest"
)

func TestJobs(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		queuetest.Run(t, func(t *testing.T) queuetest.Subject {
			db := open(t)
			return queuetest.Subject{Store: db, Transact: func(ctx context.Context, fn func(func(queue.NewJob) error) error) error {
				return db.Update(ctx, func(tx *meta.Tx) error {
					return fn(func(n queue.NewJob) error { return tx.Enqueue(ctx, n) })
				})
			}}
		})
	})
}

func enqueue(ctx context.Context, jobs ...queue.NewJob) func(*meta.Tx) error {
	return func(tx *meta.Tx) error {
		for _, j := range jobs {
			if err := tx.Enqueue(ctx, j); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestJobsOfAnotherReplica: it begins as soon as the one that has a job to do.
func TestJobsOfAnotherReplica(t *testing.T) {
	url := pgtest.Database(t)
	one, two := openURL(t, url, meta.Options{}), openURL(t, url, meta.Options{})
	begun := make(chan time.Time, 1)
	w := queue.NewWorker(two, map[string]queue.Handler{"k": {Do: func(context.Context, queue.Job) error {
		begun <- time.Now()
		return nil
	}}}, queue.Options{Poll: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	time.Sleep(200 * time.Millisecond) // until it listens
	best := time.Hour
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		added := time.Now()
		if err := one.Update(t.Context(), enqueue(t.Context(), queue.NewJob{Kind: "k"})); err != nil {
			t.Fatal(err)
		}
		best = min(best, (<-begun).Sub(added))
	}
	if best >= 100*time.Millisecond {
		t.Errorf("a job began %s after it had been added elsewhere", best)
	}
}

// TestKeyIsHeldUntilCommit: a job that stands for two causes begins when both can be
// seen, not between what the second one does and its commit.
func TestKeyIsHeldUntilCommit(t *testing.T) {
	db := openPostgres(t)
	ctx := t.Context()
	job := queue.NewJob{Kind: "k", Key: "key"}
	if err := db.Update(ctx, enqueue(ctx, job)); err != nil {
		t.Fatal(err)
	}
	err := db.Update(ctx, func(tx *meta.Tx) error {
		if err := tx.Enqueue(ctx, job); err != nil {
			return err
		}
		if j, err := db.LeaseJob(ctx, []string{"k"}, time.Minute); !errors.Is(err, queue.ErrNothingDue) {
			t.Errorf("in the middle of the transaction: got %+v, %v", j, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.LeaseJob(ctx, []string{"k"}, time.Minute); err != nil {
		t.Errorf("after the transaction: %v", err)
	}
}

// TestLeaseAmongMany: that there are many jobs which nobody can do now is no reason to
// take longer.
func TestLeaseAmongMany(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db, ctx := open(t), t.Context()
		lease := func() time.Duration {
			best := time.Hour
			for range 20 {
				if err := db.Update(ctx, enqueue(ctx, queue.NewJob{Kind: "k"})); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, err := db.LeaseJob(ctx, []string{"k", "l"}, time.Minute); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(began))
			}
			return best
		}
		alone := lease()
		if err := meta.FillJobs(ctx, db, 100_000); err != nil {
			t.Fatal(err)
		}
		among := lease()
		t.Logf("alone %s, among many %s", alone, among)
		if among > 3*alone+time.Millisecond {
			t.Errorf("a lease takes %s among many jobs, %s without them", among, alone)
		}
	})
}

func TestWithLease(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		t.Run("one at a time", func(t *testing.T) { testHoldAlone(t, open(t)) })
		t.Run("paused holder", func(t *testing.T) { testHoldPaused(t, open(t)) })
	})
}

func testHoldAlone(t *testing.T, db *meta.DB) {
	ctx := t.Context()
	no := errors.New("no")
	for range 2 { // the lease is given back
		held, err := db.WithLease(ctx, "a", 300*time.Millisecond, func(ctx context.Context) error {
			time.Sleep(700 * time.Millisecond) // the lease is extended
			for name, free := range map[string]bool{"a": false, "b": true} {
				held, err := db.WithLease(ctx, name, time.Minute, func(context.Context) error { return nil })
				if err != nil || held != free {
					t.Errorf("meanwhile, %q: got %v, %v", name, held, err)
				}
			}
			if ctx.Err() != nil {
				t.Errorf("the lease was lost: %v", context.Cause(ctx))
			}
			return no
		})
		if !held || !errors.Is(err, no) {
			t.Errorf("got %v, %v", held, err)
		}
	}
}

// testHoldPaused has one stand still until its lease has run out.
func testHoldPaused(t *testing.T, db *meta.DB) {
	ctx := t.Context()
	entered := make(chan struct{})
	others := make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := db.WithLease(ctx, "a", 600*time.Millisecond, func(ctx context.Context) error {
			close(entered)
			<-ctx.Done()
			<-others
			return context.Cause(ctx)
		})
		first <- err
	}()
	<-entered
	if err := meta.ExpireLeases(ctx, db); err != nil { // as if it had not got to run
		t.Fatal(err)
	}
	held, err := db.WithLease(ctx, "a", time.Minute, func(ctx context.Context) error {
		close(others)
		if err := <-first; !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("the one that stood still ended with %v", err)
		}
		// It has not given back what was no longer its own.
		if held, err := db.WithLease(ctx, "a", time.Minute, func(context.Context) error { return nil }); held || err != nil {
			t.Errorf("a third: got %v, %v", held, err)
		}
		return ctx.Err()
	})
	if !held || err != nil {
		t.Errorf("the second: got %v, %v", held, err)
	}
}
