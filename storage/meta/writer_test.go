package meta_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/registry"
	"berth/storage/meta"
)

// group lets transactions run that share one commit: while the first is under way,
// the others queue up behind it. It returns their errors.
func group(t *testing.T, db *meta.DB, fns ...func(*meta.Tx) error) []error {
	t.Helper()
	started, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.Update(context.Background(), func(*meta.Tx) error {
			close(started)
			<-release
			return nil
		})
	}()
	<-started
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { errs[i] = db.Update(context.Background(), fn) })
	}
	time.Sleep(50 * time.Millisecond) // until all of them wait
	close(release)
	wg.Wait()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	return errs
}

func TestOneOfAGroupFails(t *testing.T) {
	var mu sync.Mutex
	most := 0
	db := openAt(t, filepath.Join(t.TempDir(), "berth.db"), meta.Options{Observe: func(_ time.Duration, shared int) {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, shared)
	}})
	ctx := t.Context()
	no := errors.New("no")
	errs := group(t, db,
		ensure(ctx, "one"),
		func(tx *meta.Tx) error { return errors.Join(ensure(ctx, "failed")(tx), no) },
		ensure(ctx, "two"),
		func(tx *meta.Tx) error {
			if err := ensure(ctx, "panicked")(tx); err != nil {
				return err
			}
			panic("oh")
		},
		ensure(ctx, "three"),
		func(tx *meta.Tx) error { // breaks a rule of the database
			if err := ensure(ctx, "broken")(tx); err != nil {
				return err
			}
			return tx.PutTag(ctx, meta.Repository{ID: 12345}, "latest", 12345, "")
		},
		ensure(ctx, "four"),
	)
	for i, failed := range []bool{false, true, false, true, false, true, false} {
		if (errs[i] != nil) != failed {
			t.Errorf("transaction %d: %v", i, errs[i])
		}
	}
	if !errors.Is(errs[1], no) || !strings.Contains(errs[3].Error(), "oh") {
		t.Errorf("got %v and %v", errs[1], errs[3])
	}
	mu.Lock()
	defer mu.Unlock()
	if most != len(errs) {
		t.Errorf("at most %d transactions shared a commit, want %d", most, len(errs))
	}
	wantRepositories(t, db, "one", "two", "three", "four")
}

// TestAloneFails is the same without company, which goes another way.
func TestAloneFails(t *testing.T) {
	db, ctx := open(t), t.Context()
	no := errors.New("no")
	err := db.Update(ctx, func(tx *meta.Tx) error { return errors.Join(ensure(ctx, "failed")(tx), no) })
	if !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	err = db.Update(ctx, func(tx *meta.Tx) error {
		if err := ensure(ctx, "panicked")(tx); err != nil {
			return err
		}
		panic("oh")
	})
	if err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("got %v", err)
	}
	if err := db.Update(ctx, ensure(ctx, "good")); err != nil {
		t.Error(err)
	}
	wantRepositories(t, db, "good")
}

// TestTransactionsSeeThemselves and those before them, though not committed yet.
func TestTransactionsSeeThemselves(t *testing.T) {
	db, ctx := open(t), t.Context()
	errs := group(t, db, func(tx *meta.Tx) error {
		if err := ensure(ctx, "a")(tx); err != nil {
			return err
		}
		_, err := tx.Repository(ctx, "a")
		if _, outside := db.Repository(ctx, "a"); !errors.Is(outside, registry.ErrNameUnknown) {
			return fmt.Errorf("seen from outside: %v", outside)
		}
		return err
	})
	if errs[0] != nil {
		t.Error(errs[0])
	}
}

func TestManyWriters(t *testing.T) {
	db, ctx := open(t), t.Context()
	var names []registry.Name
	var wg sync.WaitGroup
	for i := range 200 {
		name := registry.Name(fmt.Sprintf("r%03d", i))
		names = append(names, name)
		update := db.Update
		if i%3 == 0 {
			update = db.UpdateRelaxed
		}
		wg.Go(func() {
			if err := update(ctx, ensure(ctx, name)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantRepositories(t, db, names...)
}

// TestCancelled: a transaction whose caller goes away before it begins does not
// happen, or is told to have happened.
func TestCancelled(t *testing.T) {
	db := open(t)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		name := registry.Name(fmt.Sprint("r", i))
		err := db.Update(done, ensure(done, name))
		_, there := db.Repository(t.Context(), name)
		if (err == nil) != (there == nil) {
			t.Errorf("Update: %v; afterwards: %v", err, there)
		}
	}
	if _, err := db.Repository(done, "r"); !errors.Is(err, context.Canceled) {
		t.Errorf("a question whose context is done: %v", err)
	}
	// Others do not suffer from one that gives up in the middle.
	ctx, giveUp := context.WithCancel(t.Context())
	errs := group(t, db,
		func(tx *meta.Tx) error {
			giveUp()
			return ensure(ctx, "given-up")(tx)
		},
		ensure(t.Context(), "other"),
	)
	if errs[1] != nil {
		t.Errorf("the other: %v", errs[1])
	}
	if _, err := db.Repository(t.Context(), "other"); err != nil {
		t.Error(err)
	}
}

// TestCloseWhileOthersWait: who has been told nothing yet is told the truth.
func TestCloseWhileOthersWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "berth.db")
	db, err := meta.Open(t.Context(), "sqlite:"+path, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	errs := make([]error, 300)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = db.Update(ctx, ensure(ctx, registry.Name(fmt.Sprint("r", i)))) })
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := db.Update(ctx, ensure(ctx, "late")); err == nil {
		t.Error("Update after Close")
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	var told []registry.Name
	for i, err := range errs {
		if err == nil {
			told = append(told, registry.Name(fmt.Sprint("r", i)))
		}
	}
	wantRepositories(t, openAt(t, path, meta.Options{}), told...)
}
