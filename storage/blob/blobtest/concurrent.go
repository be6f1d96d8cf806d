package blobtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"berth/storage/blob"
)

// testConcurrent leads many objects through their lives at once.
func testConcurrent(t *testing.T, s blob.Store) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 12 {
				if err := live(t.Context(), s, i*7919); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		group.Go(func() {
			for _, err := range s.All(t.Context()) {
				if err != nil {
					t.Errorf("All: %v", err)
				}
			}
		})
	}
	group.Wait()
}

// live writes an object of 2n bytes in two steps, reads it and deletes it.
func live(ctx context.Context, s blob.Store, n int) error {
	key, b := blob.NewKey(), content(2*n)
	w, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("in Create: %w", err)
	}
	defer w.Close()
	if _, err := w.Write(b[:n]); err != nil {
		return fmt.Errorf("in Write: %w", err)
	}
	state, err := w.Suspend(ctx)
	if err != nil {
		return fmt.Errorf("in Suspend: %w", err)
	}
	if w, err = s.Resume(ctx, key, state); err != nil {
		return fmt.Errorf("in Resume: %w", err)
	}
	defer w.Close()
	if _, err := w.Write(b[n:]); err != nil {
		return fmt.Errorf("in Write: %w", err)
	}
	if err := w.Commit(ctx); err != nil {
		return fmt.Errorf("in Commit: %w", err)
	}
	if err := compare(ctx, s, key, b); err != nil {
		return err
	}
	if err := s.Delete(ctx, key); err != nil {
		return fmt.Errorf("in Delete: %w", err)
	}
	if _, err := s.Open(ctx, key, blob.Span{}); !errors.Is(err, blob.ErrNotExist) {
		return fmt.Errorf("in Open after Delete: %v", err)
	}
	return nil
}
