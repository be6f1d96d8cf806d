package queuetest

import (
	"testing"
	"time"

	"berth/storage/queue"
)

func testKey(t *testing.T, s Subject) {
	soon, later := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	at := func(due time.Time, payload int) queue.NewJob {
		return queue.NewJob{Kind: "k", Key: "key", Payload: payload, DueAt: due}
	}
	s.enqueue(t, at(later, 1), at(soon, 2))
	if j := s.only(t, queue.Waiting); j.DueAt.Sub(soon).Abs() > time.Second || string(j.Payload) != "1" {
		t.Errorf("got %+v", j)
	}
	s.enqueue(t, at(later, 3), at(time.Time{}, 4))
	j := s.lease(t, "k")
	s.only(t, queue.Leased)

	// What waits after a failure goes on waiting.
	want(t, "RetryJob", s.RetryJob(t.Context(), j, time.Hour, "no"), nil)
	s.enqueue(t, at(time.Time{}, 5))
	s.only(t, queue.Waiting)
	s.nothingDue(t, "k")

	// Other keys, other kinds and no keys are other jobs.
	s.enqueue(t, queue.NewJob{Kind: "k", Key: "other"}, queue.NewJob{Kind: "l", Key: "key"}, queue.NewJob{Kind: "k"}, queue.NewJob{Kind: "k"})
	if all := s.list(t, queue.Filter{}); len(all) != 5 {
		t.Errorf("there are %d jobs, want 5", len(all))
	}
}

// testKeyOfLeased: a job that is being done may have looked at the world before the
// change that asks for it again.
func testKeyOfLeased(t *testing.T, s Subject) {
	ctx := t.Context()
	job := queue.NewJob{Kind: "k", Key: "key"}
	for name, end := range map[string]func(queue.Job) error{
		"RetryJob":    func(j queue.Job) error { return s.RetryJob(ctx, j, time.Hour, "no") },
		"PostponeJob": func(j queue.Job) error { return s.PostponeJob(ctx, j, time.Hour, "too early") },
		"ReleaseJob":  func(j queue.Job) error { return s.ReleaseJob(ctx, j) },
	} {
		s.enqueue(t, job)
		first := s.lease(t, "k")
		s.enqueue(t, queue.NewJob{Kind: "k", Key: "key", DueAt: time.Now().Add(2 * time.Hour)})
		if all := s.list(t, queue.Filter{}); len(all) != 2 {
			t.Fatalf("there are %d jobs, want 2", len(all))
		}
		want(t, name, end(first), nil)
		left := s.only(t, queue.Waiting)
		if left.ID == first.ID || time.Until(left.DueAt) > 61*time.Minute {
			t.Errorf("%s: got %+v", name, left)
		}
		want(t, "RequeueJob", s.RequeueJob(ctx, left.ID), nil)
		want(t, "FinishJob", s.FinishJob(ctx, s.lease(t, "k")), nil)
	}
}

func testKeyOfFailed(t *testing.T, s Subject) {
	ctx := t.Context()
	for _, requeue := range []func(int64) error{
		func(id int64) error { return s.RequeueJob(ctx, id) },
		func(int64) error { _, err := s.RequeueFailedJobs(ctx); return err },
	} {
		s.enqueue(t, queue.NewJob{Kind: "k", Key: "key"})
		failed := s.lease(t, "k")
		want(t, "GiveUpJob", s.GiveUpJob(ctx, failed, "no"), nil)
		s.enqueue(t, queue.NewJob{Kind: "k", Key: "key", DueAt: time.Now().Add(time.Hour)})
		want(t, "requeuing", requeue(failed.ID), nil)
		s.only(t, queue.Waiting)
		want(t, "FinishJob", s.FinishJob(ctx, s.lease(t, "k")), nil)
	}
}
