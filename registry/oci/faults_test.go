package oci_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/storage/blob/fs"
)

// TestFullDisk fills the disk under an upload and makes room again.
func TestFullDisk(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	store, err := fs.Open(t.TempDir(), fs.Options{FreeSpace: func(string) (int64, error) { return free.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, store, nil)
	upload := s.start(t)
	free.Store(fs.DefaultReserve)
	content := strings.Repeat("0123456789", 10_000) // small blobs may go elsewhere
	full := fmt.Sprintf(`
PATCH %[1]s
< %[3]s
code == 507
body contains the registry's storage is full
body contains UNAVAILABLE
PUT %[1]s?digest=%[2]s
< %[3]s
code == 507
POST /v2/team/app/blobs/uploads/?digest=%[2]s
< %[3]s
code == 507
GET %[1]s
code == 204
Range == 0-0
GET /v2/team/app/blobs/%[2]s
code == 404
`, upload, digest.FromString(content), content)
	s.script(t, full)
	free.Store(1 << 40)
	s.wantFinish(t, upload, content, 0)
}

// TestLockedDatabase has another process hold the database for longer than anybody
// waits.
func TestLockedDatabase(t *testing.T) {
	t.Parallel() // it waits for five seconds
	s := serve(t, nil, nil)
	upload := s.start(t)
	s.script(t, "PATCH "+upload+"\n< hello\ncode == 202")
	s.script(t, fmt.Sprintf("POST /v2/team/app/blobs/uploads/?digest=%s\n< {}\ncode == 201", digest.FromString("{}")))

	other, err := sql.Open("sqlite", "file:"+s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	s.script(t, "PATCH "+upload+"\n< , world\ncode == 503\nRetry-After matches ^[1-9]\nbody contains UNAVAILABLE\nbody contains try again")
	s.script(t, fmt.Sprintf("GET /v2/team/app/blobs/%s\ncode == 200", digest.FromString("{}"))) // readers do not wait
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	s.wantRange(t, upload, "0-4")
	s.wantFinish(t, upload, "hello, world", 5)
}

// TestUnknownFault keeps the reason from the client.
func TestUnknownFault(t *testing.T) {
	store, err := fs.Open(t.TempDir(), fs.Options{FreeSpace: func(string) (int64, error) { return 0, fmt.Errorf("secret reason") }})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, store, nil)
	upload := s.start(t)
	<-s.accesses
	answer, body := s.ask(t, "PATCH", upload, [2]string{})
	if answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %s", answer.Status)
	}
	want := fmt.Sprintf(`{"errors":[{"code":"UNKNOWN","message":"the registry has failed; its log has the reason under request id %s"}]}`,
		answer.Header.Get("X-Request-Id"))
	if body != want {
		t.Errorf("got %s, want %s", body, want)
	}
	if a := <-s.accesses; a.Err == nil || a.Status != 500 || a.RequestID != answer.Header.Get("X-Request-Id") {
		t.Errorf("the log has %+v", a)
	}
}
