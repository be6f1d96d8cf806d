package meta_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/storage/checkup"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

func diagnose(t *testing.T, url string, connections int) map[string]checkup.Finding {
	t.Helper()
	var c checkup.Checks
	meta.Diagnose(t.Context(), url, connections, 72*time.Hour, &c)
	found := map[string]checkup.Finding{}
	for _, f := range c.All() {
		t.Logf("%-8s %s: %s", f.Severity, f.Name, f.Seen)
		if f.Severity == checkup.Warning != (f.Advice != "") && f.Severity != checkup.Problem {
			t.Errorf("%+v", f)
		}
		found[f.Name] = f
	}
	return found
}

// wantFound has one finding be as bad as said, and no other be a problem.
func wantFound(t *testing.T, found map[string]checkup.Finding, name string, severity checkup.Severity, says string) {
	t.Helper()
	f := found[name]
	if f.Severity != severity || !strings.Contains(f.Seen+" "+f.Advice, says) {
		t.Errorf("want a %s of %s with %q, got %+v", severity, name, says, f)
	}
	for _, f := range found {
		if f.Severity == checkup.Problem && f.Name != name {
			t.Errorf("also %+v", f)
		}
	}
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// as returns a URL with something about it changed.
func as(t *testing.T, raw string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func TestDiagnosePostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.Database(t)
	found := diagnose(t, url, 0)
	wantFound(t, found, "database", checkup.OK, "answers")
	wantFound(t, found, "database schema", checkup.OK, "none yet")
	wantFound(t, found, "database permissions", checkup.OK, "can be made")
	// The server of tests does without, to be fast.
	wantFound(t, found, "database durability", checkup.Warning, "fsync is off")

	// It is asked again once there is a schema, and has left none of its own.
	db, err := meta.Open(t.Context(), url, meta.Options{Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantFound(t, diagnose(t, url, 0), "database schema", checkup.OK, "that of this berth")
	execute(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	wantFound(t, diagnose(t, url, 0), "database schema", checkup.Problem, "a newer berth")
	execute(t, url, "DELETE FROM goose_db_version WHERE version_id > 1")
	wantFound(t, diagnose(t, url, 0), "database schema", checkup.Warning, "make a backup")

	wantFound(t, diagnose(t, url, 1000), "database connections", checkup.Problem, "lower --database-connections")
	wantFound(t, diagnose(t, url, 150), "database connections", checkup.Warning, "room for 1 server")
}

func TestDiagnosePostgresFaults(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	base := server.Database(t)
	name := strings.TrimPrefix(mustParse(t, base).Path, "/")
	execute(t, base, "CREATE ROLE stranger LOGIN", "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0",
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		`CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	for _, test := range []struct {
		name, url string
		finding   string
		severity  checkup.Severity
		says      string
	}{
		{"no table may be made", as(t, base, func(u *url.URL) { u.User = url.User("stranger") }), "database permissions", checkup.Problem, "GRANT CREATE, USAGE ON SCHEMA public TO stranger"},
		{"no such database", as(t, base, func(u *url.URL) { u.Path = "/elsewhere" }), "database", checkup.Problem, "createdb --encoding=UTF8 --owner=postgres elsewhere"},
		{"no such role", as(t, base, func(u *url.URL) { u.User = url.User("nobody") }), "database", checkup.Problem, "see that the role exists"},
		{"no more connections", as(t, base, func(u *url.URL) { u.User = url.User("crowded") }), "database", checkup.Problem, "raise max_connections"},
		{"another encoding", as(t, base, func(u *url.URL) { u.Path = "/latin" }), "database encoding", checkup.Problem, "LATIN1"},
		{"no TLS", as(t, base, func(u *url.URL) { u.RawQuery = "sslmode=require" }), "database", checkup.Problem, "does not speak TLS"},
		{"nothing there", as(t, base, func(u *url.URL) { u.Host = "127.0.0.1:1" }), "database", checkup.Problem, "refuses connections"},
		{"read-only", as(t, base, func(u *url.URL) { u.RawQuery += "&default_transaction_read_only=on" }), "database writable", checkup.Problem, "read-only"},
		{"no schema", as(t, base, func(u *url.URL) { u.RawQuery += "&search_path=nowhere" }), "database permissions", checkup.Problem, "CREATE SCHEMA"},
		{"a pooler", pooler(t), "database", checkup.Problem, "PgBouncer"},
		{"not a URL", "postgres://a:b:c@[", "database", checkup.Problem, "%2F"},
		{"not known", "mysql://elsewhere", "database", checkup.Problem, "postgres://"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFound(t, diagnose(t, test.url, 0), test.finding, test.severity, test.says)
		})
	}
	execute(t, base, `ALTER DATABASE "`+name+`" SET default_transaction_read_only = on`)
	wantFound(t, diagnose(t, base, 0), "database writable", checkup.Problem, "RESET default_transaction_read_only")
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// pooler is the URL of what answers like PgBouncer to whom asks for a setting.
func pooler(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			fields := "SFATAL\x00C08P01\x00Munsupported startup parameter: statement_timeout\x00\x00"
			fmt.Fprintf(conn, "E\x00\x00\x00%c%s", len(fields)+4, fields)
			conn.Close()
		}
	}()
	return "postgres://u@" + l.Addr().String() + "/d?sslmode=disable"
}

func TestDiagnoseSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b#c.db")
	wantFound(t, diagnose(t, "sqlite:"+path, 0), "database", checkup.OK, "not there yet")
	if _, err := os.Stat(path); err == nil {
		t.Error("the database was made")
	}
	db, err := meta.Open(t.Context(), "sqlite:"+path, meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Beside a server that runs.
	wantFound(t, diagnose(t, "sqlite:"+path, 0), "database schema", checkup.OK, "that of this berth")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantFound(t, diagnose(t, "sqlite:"+path, 0), "database schema", checkup.OK, "that of this berth")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database at all ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFound(t, diagnose(t, "sqlite:"+path, 0), "database", checkup.Problem, "is not a database")
}

func TestPostgresVersion(t *testing.T) {
	now := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	for number, want := range map[int]checkup.Severity{
		130010: checkup.Problem, 140001: checkup.Warning, 150000: checkup.OK, 180001: checkup.OK, 250000: checkup.OK,
	} {
		if f := meta.PostgresVersion(number, now); f.Severity != want {
			t.Errorf("%d: %+v", number, f)
		}
	}
}

func TestEncryption(t *testing.T) {
	for _, test := range []struct {
		encrypted, local, anybody bool
		want                      checkup.Severity
	}{
		{false, true, false, checkup.OK},
		{false, false, false, checkup.Warning},
		{true, false, true, checkup.Warning},
		{true, false, false, checkup.OK},
	} {
		if f := meta.Encryption(test.encrypted, test.local, test.anybody); f.Severity != test.want {
			t.Errorf("%+v: %+v", test, f)
		}
	}
}
