package meta_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"berth/auth"
	"berth/auth/accesskey/accesskeytest"
	"berth/auth/authtest"
	"berth/auth/token"
	"berth/auth/token/tokentest"
	"berth/registry"
	"berth/registry/engine"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// open opens a new database, which is closed when the test ends.
func open(t *testing.T) *meta.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "berth.db"), meta.Options{})
}

func openAt(t *testing.T, path string, o meta.Options) *meta.DB {
	t.Helper()
	return openURL(t, "sqlite:"+path, o)
}

func openURL(t *testing.T, url string, o meta.Options) *meta.DB {
	t.Helper()
	db, err := meta.Open(context.Background(), url, o)
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

// ensure makes a repository.
func ensure(ctx context.Context, name registry.Name) func(*meta.Tx) error {
	return func(tx *meta.Tx) error {
		_, _, err := tx.CreateRepository(ctx, name, registry.Settings{})
		return err
	}
}

// wantRepositories compares what is there with names.
func wantRepositories(t *testing.T, db *meta.DB, names ...registry.Name) {
	t.Helper()
	for _, name := range names {
		if _, err := db.Repository(t.Context(), name); err != nil {
			t.Errorf("%s is lost: %v", name, err)
		}
	}
	all, err := db.Repositories(t.Context(), "", 1000)
	if err != nil || len(all) != len(names) {
		t.Errorf("there are %q (%v), want %q", all, err, names)
	}
}

// onBoth runs a test on either database.
func onBoth(t *testing.T, run func(t *testing.T, open func(t *testing.T) *meta.DB)) {
	t.Run("SQLite", func(t *testing.T) { run(t, open) })
	t.Run("PostgreSQL", func(t *testing.T) { run(t, openPostgres) })
}

// openPostgres opens a new database on a server, which is closed when the test ends.
func openPostgres(t *testing.T) *meta.DB {
	t.Helper()
	return openURL(t, pgtest.Database(t), meta.Options{})
}

func TestAuthStore(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		authtest.RunStore(t, func(t *testing.T) auth.Store { return open(t) })
	})
}

func TestAccessKeyStore(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		accesskeytest.RunStore(t, func(t *testing.T) accesskeytest.Stores { return open(t) })
	})
}

// rules gives repositories and the registry policies, as a registry on a database does.
type rules struct{ *engine.Engine }

func (r rules) SetRepository(ctx context.Context, repo registry.Name, policy string, tags map[string]string) error {
	_, err := r.CreateRepository(ctx, repo, registry.Settings{})
	if err != nil && !errors.Is(err, registry.ErrNameTaken) {
		return err
	}
	if _, err := r.ChangeSettings(ctx, repo, func(s *registry.Settings) error { s.ResourceTags = tags; return nil }); err != nil {
		return err
	}
	if policy != "" {
		_, err = r.SetRepositoryPolicy(ctx, repo, json.RawMessage(policy))
	} else if _, err = r.SetRepositoryPolicy(ctx, repo, nil); errors.Is(err, registry.ErrNotSet) {
		err = nil
	}
	return err
}

func (r rules) DeleteRepository(ctx context.Context, repo registry.Name) error {
	return r.Engine.DeleteRepository(ctx, repo, false)
}

func (r rules) SetRegistryPolicy(ctx context.Context, policy string) error {
	var value json.RawMessage
	if policy != "" {
		value = json.RawMessage(policy)
	}
	_, err := r.SetSetting(ctx, registry.RegistryPolicySetting, value)
	return err
}

func TestAuthResources(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		authtest.RunResources(t, func(t *testing.T) (auth.Store, authtest.Resources) {
			db := open(t)
			return db, rules{engine.New(db, mem.New(), engine.Options{})}
		})
	})
}

func TestKeyStore(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		tokentest.RunKeyStore(t, func(t *testing.T) token.KeyStore { return open(t) })
	})
}

func TestOpen(t *testing.T) {
	for _, name := range []string{"berth.db", "a b.db", "a%20b.db", "a?b.db", "a#b.db", "ä&b=c.db", "sub:c.db"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		db := openAt(t, path, meta.Options{})
		if err := db.Update(t.Context(), ensure(t.Context(), "a")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	}
	for _, url := range []string{"", "sqlite:", "berth.db", "postgres://user:secret@127.0.0.1:1/db", "mysql://user:secret@host/db", "postgres://user:secret@[/db", "sqlite:/does/not/exist/berth.db"} {
		db, err := meta.Open(t.Context(), url, meta.Options{})
		if err == nil {
			db.Close()
			t.Errorf("%q was opened", url)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestMigrate has many processes open an empty database at once, as replicas do that
// start together, or a server and the command line beside it.
func TestMigrate(t *testing.T) {
	for name, url := range map[string]string{
		"SQLite":     "sqlite:" + filepath.Join(t.TempDir(), "berth.db"),
		"PostgreSQL": pgtest.Database(t),
	} {
		t.Run(name, func(t *testing.T) { testMigrate(t, url) })
	}
}

func testMigrate(t *testing.T, url string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), opener+"="+url)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	db := openURL(t, url, meta.Options{})
	wantRepositories(t, db, "a")
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	if version, err := meta.Version(t.Context(), db); err != nil || fmt.Sprintf("%05d", version) != last {
		t.Errorf("the schema has version %d (%v), want %s", version, err, last)
	}
}

// TestCloseLeavesOneFile: the write-ahead log is part of the database until the last
// connection is closed, and who copies the file then expects to have it all.
func TestCloseLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	db, err := meta.Open(t.Context(), "sqlite:"+filepath.Join(dir, "berth.db"), meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), ensure(t.Context(), "a")); err != nil {
		t.Fatal(err)
	}
	wantRepositories(t, db, "a")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "berth.db" {
			t.Errorf("%s is left behind", entry.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
