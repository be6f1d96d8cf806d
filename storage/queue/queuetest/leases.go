package queuetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/storage/queue"
)

func testRetry(t *testing.T, s Subject) {
	ctx := t.Context()
	s.enqueue(t, queue.NewJob{Kind: "k"})
	j := s.lease(t, "k")
	want(t, "RetryJob", s.RetryJob(ctx, j, time.Hour, "no – 1"), nil)
	s.nothingDue(t, "k")
	listed := s.only(t, queue.Waiting)
	if off := time.Until(listed.DueAt) - time.Hour; listed.Reason != "no – 1" || listed.Attempts != 1 || off.Abs() > 10*time.Second {
		t.Errorf("got %+v", listed)
	}
	want(t, "RequeueJob", s.RequeueJob(ctx, j.ID), nil)
	j = s.lease(t, "k")
	if j.Attempts != 1 {
		t.Errorf("after RequeueJob this is attempt %d", j.Attempts)
	}
	want(t, "RetryJob", s.RetryJob(ctx, j, 0, "no – 2"), nil)
	if j = s.lease(t, "k"); j.Attempts != 2 || j.Reason != "no – 2" {
		t.Errorf("got %+v", j)
	}
	want(t, "FinishJob", s.FinishJob(ctx, j), nil)
	if left := s.list(t, queue.Filter{}); len(left) > 0 {
		t.Errorf("left behind: %+v", left)
	}
}

func testPostpone(t *testing.T, s Subject) {
	ctx := t.Context()
	s.enqueue(t, queue.NewJob{Kind: "k"})
	j := s.lease(t, "k")
	want(t, "PostponeJob", s.PostponeJob(ctx, j, time.Hour, "too early"), nil)
	s.nothingDue(t, "k")
	listed := s.only(t, queue.Waiting)
	if off := time.Until(listed.DueAt) - time.Hour; listed.Reason != "too early" || listed.Attempts != 0 || off.Abs() > 10*time.Second {
		t.Errorf("got %+v", listed)
	}
	want(t, "RequeueJob", s.RequeueJob(ctx, j.ID), nil)
	for range 3 {
		if j = s.lease(t, "k"); j.Attempts != 1 {
			t.Errorf("a job that was put off has come to attempt %d", j.Attempts)
		}
		want(t, "PostponeJob", s.PostponeJob(ctx, j, 0, "too early"), nil)
	}
}

func testRelease(t *testing.T, s Subject) {
	s.enqueue(t, queue.NewJob{Kind: "k"})
	for range 3 {
		j := s.lease(t, "k")
		if j.Attempts != 1 {
			t.Errorf("a released job has come to attempt %d", j.Attempts)
		}
		due := s.JobsDue()
		want(t, "ReleaseJob", s.ReleaseJob(t.Context(), j), nil)
		rung(t, due)
	}
}

func testGiveUp(t *testing.T, s Subject) {
	ctx := t.Context()
	for range 3 {
		s.enqueue(t, queue.NewJob{Kind: "k"})
	}
	var ids []int64
	for range 2 {
		j := s.lease(t, "k")
		want(t, "GiveUpJob", s.GiveUpJob(ctx, j, "hopeless"), nil)
		ids = append(ids, j.ID)
	}
	leased := s.lease(t, "k")
	s.nothingDue(t, "k")
	counts, err := s.CountJobs(ctx)
	want(t, "CountJobs", err, nil)
	if counts[queue.Failed] != 2 || counts[queue.Leased] != 1 || counts[queue.Waiting] != 0 {
		t.Errorf("CountJobs: %v", counts)
	}
	failed := s.list(t, queue.Filter{State: queue.Failed})
	if len(failed) != 2 || failed[0].Reason != "hopeless" || time.Since(failed[0].DueAt).Abs() > 10*time.Second {
		t.Errorf("failed: %+v", failed)
	}
	want(t, "RequeueJob of a leased job", s.RequeueJob(ctx, leased.ID), queue.ErrJobLeased)
	want(t, "RequeueJob of no job", s.RequeueJob(ctx, 12345), queue.ErrJobUnknown)
	due := s.JobsDue()
	want(t, "RequeueJob", s.RequeueJob(ctx, ids[0]), nil)
	rung(t, due)
	if j := s.lease(t, "k"); j.ID != ids[0] || j.Attempts != 1 {
		t.Errorf("got %+v", j)
	}
	due = s.JobsDue()
	n, err := s.RequeueFailedJobs(ctx)
	want(t, "RequeueFailedJobs", err, nil)
	if n != 1 {
		t.Errorf("%d jobs were requeued, want 1", n)
	}
	rung(t, due)
	if j := s.lease(t, "k"); j.ID != ids[1] {
		t.Errorf("got %+v", j)
	}
}

// testLostLease has a lease run out and another one follow. What the first holder
// says is refused, also when the job has been requeued or is gone.
func testLostLease(t *testing.T, s Subject) {
	ctx := t.Context()
	s.enqueue(t, queue.NewJob{Kind: "k", Key: "key"})
	old, err := s.LeaseJob(ctx, []string{"k"}, time.Millisecond)
	want(t, "LeaseJob", err, nil)
	time.Sleep(10 * time.Millisecond)
	now := s.lease(t, "k")
	if now.ID != old.ID || now.Attempts != 2 || now.Lease == old.Lease {
		t.Errorf("after %+v came %+v", old, now)
	}
	refused := func() {
		t.Helper()
		before := s.list(t, queue.Filter{})
		want(t, "ExtendJob", s.ExtendJob(ctx, old, time.Hour), queue.ErrLeaseLost)
		want(t, "FinishJob", s.FinishJob(ctx, old), queue.ErrLeaseLost)
		want(t, "RetryJob", s.RetryJob(ctx, old, 0, "late"), queue.ErrLeaseLost)
		want(t, "PostponeJob", s.PostponeJob(ctx, old, 0, "late"), queue.ErrLeaseLost)
		want(t, "ReleaseJob", s.ReleaseJob(ctx, old), queue.ErrLeaseLost)
		want(t, "GiveUpJob", s.GiveUpJob(ctx, old, "late"), queue.ErrLeaseLost)
		if diff := cmp.Diff(before, s.list(t, queue.Filter{})); diff != "" {
			t.Errorf("who had lost the lease has changed something:\n%s", diff)
		}
	}
	refused()
	want(t, "GiveUpJob", s.GiveUpJob(ctx, now, "hopeless"), nil)
	refused()
	want(t, "RequeueJob", s.RequeueJob(ctx, now.ID), nil)
	refused()
	now = s.lease(t, "k")
	refused()
	want(t, "FinishJob", s.FinishJob(ctx, now), nil)
	refused()
	s.enqueue(t, queue.NewJob{Kind: "k", Key: "key"}) // which may get the same id
	s.lease(t, "k")
	refused()
}

func testExtend(t *testing.T, s Subject) {
	ctx := t.Context()
	s.enqueue(t, queue.NewJob{Kind: "k"})
	j, err := s.LeaseJob(ctx, []string{"k"}, 100*time.Millisecond)
	want(t, "LeaseJob", err, nil)
	time.Sleep(200 * time.Millisecond)
	want(t, "ExtendJob of a lease that ran out, and that nobody took", s.ExtendJob(ctx, j, long), nil)
	s.nothingDue(t, "k")
	want(t, "FinishJob", s.FinishJob(ctx, j), nil)
}
