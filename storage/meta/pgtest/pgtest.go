// Package pgtest starts a real PostgreSQL for tests. A package that uses it hands it
// its TestMain, so that the server ends with the tests:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx
)

// shared is the server of all tests of a package. A test binary has one of each.
var shared struct {
	mu     sync.Mutex
	main   bool // whether Main runs, which ends the server
	server *Server
}

// Main runs the tests of a package and ends the server that [Database] started.
func Main(m *testing.M) {
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		if err := shared.server.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Database returns the URL of a new, empty database on a server that all tests of the
// package share. It is dropped when t ends.
func Database(t testing.TB) string {
	t.Helper()
	shared.mu.Lock()
	if !shared.main {
		shared.mu.Unlock()
		t.Fatal("nothing would end the server: the package needs func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	if shared.server == nil {
		server, err := start()
		if err != nil {
			shared.mu.Unlock()
			t.Fatal(err)
		}
		shared.server = server
	}
	server := shared.server
	shared.mu.Unlock()
	return server.Database(t)
}

// Database returns the URL of a new, empty database on the server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "t" + rand.Text()
	if err := s.command(t.Context(), `CREATE DATABASE "`+name+`"`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.command(context.Background(), `DROP DATABASE "`+name+`" WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

func (s *Server) command(ctx context.Context, statement string) error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}
