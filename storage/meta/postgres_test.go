package meta_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"berth/auth"
	"berth/registry"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// TestServerRestarts has the server crash and come back while replicas write. What was
// acknowledged is there afterwards, and nobody was told anything but to try again.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.Database(t)
	var mu sync.Mutex
	var acknowledged []registry.Name
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for replica := range 2 {
		db := openURL(t, url, meta.Options{Connections: 4})
		for writer := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					name := registry.Name(fmt.Sprintf("r%d/w%d/n%d", replica, writer, n))
					err := db.Update(t.Context(), ensure(t.Context(), name))
					if err != nil && !errors.Is(err, registry.ErrUnavailable) {
						t.Errorf("an update while the server restarts: %v", err)
						return
					}
					_, readErr := db.Repository(t.Context(), name)
					if readErr != nil && !errors.Is(readErr, registry.ErrUnavailable) && err == nil {
						t.Errorf("%s was acknowledged: %v", name, readErr)
					}
					if err == nil {
						mu.Lock()
						acknowledged = append(acknowledged, name)
						mu.Unlock()
					}
				}
			})
		}
	}
	for _, end := range []func() error{server.Kill, server.Stop, server.Kill} {
		time.Sleep(300 * time.Millisecond)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	db := openURL(t, url, meta.Options{})
	if len(acknowledged) < 100 {
		t.Errorf("only %d updates were acknowledged", len(acknowledged))
	}
	for _, name := range acknowledged {
		if _, err := db.Repository(t.Context(), name); err != nil {
			t.Fatalf("%s was acknowledged and is lost: %v", name, err)
		}
	}
}

// TestMigrationTakesLong has a migration take longer than any other statement may. The
// connection that it was made on goes back to the others as it was.
func TestMigrationTakesLong(t *testing.T) {
	t.Parallel()
	db := openURL(t, pgtest.Start(t).Database(t)+"&statement_timeout=300", meta.Options{Connections: 2})
	slow := fstest.MapFS{"00001_slow.sql": {Data: []byte("-- +goose Up\nSELECT pg_sleep(0.6);\n")}}
	if err := meta.Migrate(t.Context(), db, slow); err != nil {
		t.Error(err)
	}
	for range 4 {
		if limit, err := meta.StatementTimeout(t.Context(), db); err != nil || limit != "300ms" {
			t.Errorf("statement_timeout is %s (%v)", limit, err)
		}
	}
}

// TestServerGone asks a server that does not come back.
func TestServerGone(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.Database(t)
	t.Cleanup(func() { server.Run() }) // for the clean-up of the database
	db, err := meta.Open(t.Context(), url, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	if err := db.Update(t.Context(), ensure(t.Context(), "a")); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("an update without a server: %v; want ErrUnavailable", err)
	}
	if _, err := db.Repositories(t.Context(), "", 10); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a query without a server: %v; want ErrUnavailable", err)
	}
	if took := time.Since(started); took > 25*time.Second {
		t.Errorf("two answers took %s", took)
	}
	if err := db.Ping(t.Context()); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("Ping without a server: %v; want ErrUnavailable", err)
	}
}

// TestMoreTransactionsThanConnections has them wait for each other.
func TestMoreTransactionsThanConnections(t *testing.T) {
	db := openURL(t, pgtest.Database(t), meta.Options{Connections: 2})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *meta.Tx) error {
				time.Sleep(10 * time.Millisecond)
				return ensure(t.Context(), registry.Name(fmt.Sprintf("r%02d", i)))(tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := db.Repositories(t.Context(), "", 100); err != nil || len(all) != 50 || !slices.IsSorted(all) {
		t.Errorf("there are %d repositories (%v)", len(all), err)
	}
}

// TestConflicts has transactions on two replicas read what they then write.
func TestConflicts(t *testing.T) {
	url := pgtest.Database(t)
	replicas := []*meta.DB{openURL(t, url, meta.Options{}), openURL(t, url, meta.Options{})}
	if err := replicas[0].CreateAccount(t.Context(), auth.Account{Name: "ci", Kind: auth.Robot}); err != nil {
		t.Fatal(err)
	}
	const rounds = 25
	var wg sync.WaitGroup
	for _, db := range replicas {
		for range 4 {
			wg.Go(func() {
				for range rounds {
					err := db.UpdateAccount(t.Context(), "ci", func(a *auth.Account) error {
						a.PasswordHash += "x"
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	a, err := replicas[0].Account(t.Context(), "ci")
	if want := strings.Repeat("x", 8*rounds); err != nil || a.PasswordHash != want {
		t.Errorf("%d of %d changes are there (%v)", len(a.PasswordHash), len(want), err)
	}
}

// TestDeadlock has two transactions wait for each other: one is run again.
func TestDeadlock(t *testing.T) {
	db := openPostgres(t)
	for _, name := range []string{"a", "b"} {
		if err := db.CreateAccount(t.Context(), auth.Account{Name: name, Kind: auth.Robot}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []registry.Name{"a", "b"} {
		if err := db.Update(t.Context(), ensure(t.Context(), name)); err != nil {
			t.Fatal(err)
		}
	}
	var meet sync.WaitGroup
	meet.Add(2)
	var wg sync.WaitGroup
	for _, order := range [][]registry.Name{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			first := true
			err := db.Update(t.Context(), func(tx *meta.Tx) error {
				if _, err := tx.LockRepository(t.Context(), order[0]); err != nil {
					return err
				}
				if first {
					first = false
					meet.Done()
					meet.Wait()
				}
				_, err := tx.LockRepository(t.Context(), order[1])
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestHeardOfAccounts: what one replica changes, the other knows at once.
func TestHeardOfAccounts(t *testing.T) {
	url := pgtest.Database(t)
	one, other := openURL(t, url, meta.Options{}), openURL(t, url, meta.Options{})
	for n := range 5 {
		before, err := other.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := one.CreateAccount(t.Context(), auth.Account{Name: fmt.Sprintf("r%d", n), Kind: auth.Robot}); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for {
			after, err := other.Generation(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if after != before {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the other replica has not heard of the account")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// TestRefused opens databases that the server does not have.
func TestRefused(t *testing.T) {
	for _, change := range []func(*url.URL){
		func(u *url.URL) { u.Path = "/none" },
		func(u *url.URL) { u.User = url.User("nobody-of-that-name") },
	} {
		u, err := url.Parse(pgtest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		db, err := meta.Open(t.Context(), u.String(), meta.Options{})
		if err == nil {
			db.Close()
			t.Fatalf("%s was opened", u)
		}
		if errors.Is(err, registry.ErrUnavailable) || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%v; want the server's own words, and not that it does not answer", err)
		}
	}
}
