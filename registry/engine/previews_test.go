package engine_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"berth/lifecycle"
	"berth/registry"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/queue"
)

// TestPreview: what is tried out changes nothing, and expires after a day.
func TestPreview(t *testing.T) {
	onBothSites(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		p := lifecycle.NewPruner(s.db, lifecycle.Options{})
		images := several(3)
		s.aged("a", images, numbered)
		get := func(status registry.PreviewStatus, results int) {
			t.Helper()
			got, _, err := s.LifecyclePreview(ctx, "a", registry.PreviewQuery{Limit: 10})
			if err != nil || got.Status != status || len(got.Images) != results {
				t.Errorf("%+v, %v; want %s and %d results", got, err, status, results)
			}
		}
		_, _, err := s.LifecyclePreview(ctx, "a", registry.PreviewQuery{Limit: 10})
		want(t, "LifecyclePreview", err, registry.ErrNotSet)
		_, err = s.StartLifecyclePreview(ctx, "a", nil)
		want(t, "StartLifecyclePreview", err, registry.ErrNotSet)
		start := func(list ...string) error {
			_, err := s.StartLifecyclePreview(ctx, "a", rules(list...))
			return err
		}
		want(t, "StartLifecyclePreview", start("any imageCountMoreThan 1"), nil)
		get(registry.PreviewRunning, 0)
		want(t, "StartLifecyclePreview", start("any imageCountMoreThan 1"), registry.ErrPreviewRunning)
		s.dueJobs(p)
		get(registry.PreviewComplete, 2)
		s.left("a", images...)
		want(t, "StartLifecyclePreview", start("any imageCountMoreThan 2"), nil)
		s.clock.advance(time.Hour) // whoever was to do it has died
		want(t, "StartLifecyclePreview", start("any imageCountMoreThan 1"), nil)
		s.dueJobs(p)
		get(registry.PreviewComplete, 2)
		s.clock.advance(24 * time.Hour)
		get(registry.PreviewExpired, 0)
		_, err = s.StartLifecyclePreview(ctx, "a", json.RawMessage(`{}`))
		want(t, "StartLifecyclePreview", err, nil)
		s.dueJobs(p)
		get(registry.PreviewFailed, 0)
		want(t, "DeleteRepository", s.DeleteRepository(ctx, "a", true), nil)
		want(t, "push", s.push(ctx, "a", images[0]), nil)
		_, _, err = s.LifecyclePreview(ctx, "a", registry.PreviewQuery{Limit: 10})
		want(t, "LifecyclePreview of another repository of the name", err, registry.ErrNotSet)
		want(t, "ForgetLifecycle", func() error { _, err := s.db.ForgetLifecycle(ctx, time.Hour, 100); return err }(), nil)
	})
}

// blind is a store that cannot be read.
type blind struct{ *meta.DB }

func (blind) LifecycleSnapshot(context.Context, registry.Name) (lifecycle.Snapshot, error) {
	return lifecycle.Snapshot{}, errKilled
}

// TestPreviewGivenUp: who waits for a preview hears that it has failed.
func TestPreviewGivenUp(t *testing.T) {
	s := newSite(t, "", open, mem.New())
	ctx := t.Context()
	s.aged("a", several(1), untagged)
	_, err := s.StartLifecyclePreview(ctx, "a", rules("untagged imageCountMoreThan 1"))
	want(t, "StartLifecyclePreview", err, nil)
	given := 0
	w := queue.NewWorker(s.db, lifecycle.NewPruner(blind{s.db}, lifecycle.Options{}).Previews(), queue.Options{
		Backoff: func(int) time.Duration { return 0 },
		Observe: func(_ string, o queue.Outcome, _ time.Duration) {
			if o == queue.GivenUp {
				given++
			}
		},
	})
	want(t, "RunDue", w.RunDue(ctx), nil)
	p, _, err := s.LifecyclePreview(ctx, "a", registry.PreviewQuery{Limit: 10})
	if err != nil || p.Status != registry.PreviewFailed || given != 1 {
		t.Errorf("%+v, %v; given up %d times", p, err, given)
	}
}
