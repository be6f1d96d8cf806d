package engine_test

import (
	"context"
	"path/filepath"
	"testing"

	"berth/auth"
	"berth/auth/authtest"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob"
	"berth/storage/blob/fs"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// oneAtATime is for tests in which one thing happens after the other: with -short, as the race
// detector is run, they are left out.
func oneAtATime(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("nothing happens at once here")
	}
}

// openDB returns a new database that is closed when the test ends.
func openDB(t testing.TB) *meta.DB {
	t.Helper()
	db, _ := openDBAt(t)
	return db
}

// openDBAt also says where it is.
func openDBAt(t testing.TB) (*meta.DB, string) {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "berth.db")
	return openURL(t, url), url
}

// openPostgres returns a new database on a server.
func openPostgres(t testing.TB) *meta.DB {
	t.Helper()
	return openURL(t, pgtest.Database(t))
}

func openURL(t testing.TB, url string) *meta.DB {
	t.Helper()
	db, err := meta.Open(context.Background(), url, meta.Options{Connections: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openFS(t testing.TB) blob.Store {
	t.Helper()
	s, err := fs.Open(t.TempDir(), fs.Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	open  = engine.Options{CreateOnPush: true, MaxSmallBlob: -1} // makes an object of every blob
	small = engine.Options{CreateOnPush: true}                   // keeps small ones in the database
)

func TestContractInMemory(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Registry { return engine.New(openDB(t), mem.New(), open) })
}

func TestContractWithSmallBlobs(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Registry { return engine.New(openDB(t), mem.New(), small) })
}

func TestContractOnDisk(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Registry { return engine.New(openDB(t), openFS(t), open) })
}

func TestContractOnPostgres(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Registry { return engine.New(openPostgres(t), mem.New(), small) })
}

// TestContractBehindGuard shows that a guard changes nothing for those who may do
// everything.
func TestContractBehindGuard(t *testing.T) {
	store := authtest.NewStore()
	manager := auth.Manager{Store: store}
	admin, err := manager.CreateUser(t.Context(), "admin", "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.Attach(t.Context(), "admin", auth.FullAccess); err != nil {
		t.Fatal(err)
	}
	access, err := auth.NewAccess(store, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	as := func(ctx context.Context) context.Context {
		return auth.WithPrincipal(ctx, auth.Principal{Name: admin.Name, Kind: auth.User})
	}
	registrytest.RunAs(t, as, func(t *testing.T) registry.Registry {
		return auth.Guard(engine.New(openDB(t), mem.New(), open), access)
	})
}

func TestContractWithoutCreateOnPush(t *testing.T) {
	registrytest.RunClosed(t, func(t *testing.T, there registry.Name) registry.Registry {
		db := openDB(t)
		err := db.Update(t.Context(), func(tx *meta.Tx) error {
			_, _, err := tx.CreateRepository(t.Context(), there, registry.Settings{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return engine.New(db, mem.New(), engine.Options{})
	})
}
