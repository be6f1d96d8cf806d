package remote_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/scan/remote"
	"berth/storage/meta"
)

// door is a handler whose workers are those who say so.
type door struct {
	*testing.T
	*httptest.Server
	db      *meta.DB
	closing chan struct{}
	asked   [][]registry.Name // what tokens were for
}

func newDoor(t *testing.T) *door {
	t.Helper()
	db, err := meta.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "berth.db"), meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &door{T: t, db: db, closing: make(chan struct{})}
	d.Server = httptest.NewServer(remote.NewHandler(scan.NewService(db, scan.Options{}), remote.Options{
		Authenticate: func(r *http.Request) error {
			switch r.Header.Get("Authorization") {
			case "":
				return registry.ErrUnauthorized
			case "Bearer worker":
				return nil
			}
			return registry.ErrDenied.With("you are no worker")
		},
		Token: func(_ context.Context, repos []registry.Name, _ time.Duration) (string, error) {
			d.asked = append(d.asked, repos)
			return "token", nil
		},
		Closing: d.closing,
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *door) ask(method, path string, body []byte, headers ...string) (status int, said string) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.URL+path, bytes.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer worker")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRefusals asks for what cannot be had.
func TestRefusals(t *testing.T) {
	d := newDoor(t)
	for _, test := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"POST", "/scanner/lease", `{}`, []string{"Authorization", ""}, 401, "authentication required"},
		{"POST", "/scanner/lease", `{}`, []string{"Authorization", "Bearer thief"}, 403, "you are no worker"},
		{"GET", "/scanner/nothing", ``, []string{"Authorization", ""}, 401, "authentication required"},
		{"GET", "/scanner/nothing", ``, nil, 404, "no such endpoint"},
		{"GET", "/scanner/lease", ``, nil, 404, "no such endpoint"},
		{"POST", "/scanner/lease", `{}`, nil, 422, "what it is called"},
		{"POST", "/scanner/lease", `{"worker":`, nil, 422, "not the JSON"},
		{"POST", "/scanner/lease", `[]`, nil, 422, "not the JSON"},
		{"POST", "/scanner/lease", `{"worker":"w"}`, []string{"Content-Encoding", "gzip"}, 422, "not compressed with gzip"},
		{"POST", "/scanner/lease", `{"worker":"w"}`, []string{"Content-Encoding", "br"}, 415, "compressed with gzip"},
		{"POST", "/scanner/lease", `{"worker":"` + strings.Repeat("w", 1<<20) + `"}`, nil, 413, "larger than is allowed"},
		{"POST", "/scanner/jobs/x/extend", ``, nil, 404, "no such endpoint"},
		{"POST", "/scanner/jobs/1/extend", ``, nil, 409, "lease has been lost"},
		{"POST", "/scanner/jobs/1/extend", ``, []string{remote.LeaseHeader, "zz"}, 409, "lease has been lost"},
		{"PUT", "/scanner/jobs/1/result", `{}`, []string{remote.LeaseHeader, "zz"}, 409, "lease has been lost"},
		{"POST", "/scanner/layers/missing", `{"keys":["a/b"]}`, nil, 422, "other characters"},
		{"POST", "/scanner/layers/missing", `{"keys":[""]}`, nil, 422, "1 to 200 characters"},
		{"GET", "/scanner/layers/none", ``, nil, 404, "nothing is kept"},
		{"PUT", "/scanner/layers/a_b", `x`, nil, 422, "other characters"},
	} {
		status, said := d.ask(test.method, test.path, []byte(test.body), test.headers...)
		var told struct{ Message string }
		if err := json.Unmarshal([]byte(said), &told); err != nil || status != test.status || !strings.Contains(told.Message, test.says) {
			t.Errorf("%s %s: %d %s, want %d and %q", test.method, test.path, status, said, test.status, test.says)
		}
	}
}

// TestLayers keeps something under a key, compressed on its way.
func TestLayers(t *testing.T) {
	d := newDoor(t)
	content := bytes.Repeat([]byte("layer "), 1000)
	if status, said := d.ask("PUT", "/scanner/layers/sha256:ab-1", zipped(t, content), "Content-Encoding", "gzip"); status != 204 {
		t.Fatalf("put: %d %s", status, said)
	}
	if status, said := d.ask("GET", "/scanner/layers/sha256:ab-1", nil); status != 200 || said != string(content) {
		t.Errorf("get: %d, %d bytes", status, len(said))
	}
	if status, said := d.ask("POST", "/scanner/layers/missing", []byte(`{"keys":["x","sha256:ab-1"]}`)); status != 200 || said != "{\"keys\":[\"x\"]}\n" {
		t.Errorf("missing: %d %s", status, said)
	}
	if status, said := d.ask("POST", "/scanner/layers/missing", []byte(`{"keys":["sha256:ab-1"]}`)); status != 200 || said != "{\"keys\":[]}\n" {
		t.Errorf("missing: %d %s", status, said)
	}
	bomb := zipped(t, make([]byte, scan.MaxLayer+1)) // 64 KiB
	if status, said := d.ask("PUT", "/scanner/layers/bomb", bomb, "Content-Encoding", "gzip"); status != 413 {
		t.Errorf("a bomb: %d %s", status, said)
	}
}

// TestDatabases lists where databases are, with one token for all of them.
func TestDatabases(t *testing.T) {
	d := newDoor(t)
	if status, said := d.ask("GET", "/scanner/databases", nil); status != 200 || said != "{\"databases\":[],\"token\":\"\"}\n" {
		t.Errorf("none: %d %s", status, said)
	}
	err := d.db.Update(t.Context(), func(tx *meta.Tx) (err error) {
		for kind, repo := range map[scan.DatabaseKind]registry.Name{scan.Vulnerabilities: "berth/db", scan.Java: "berth/java"} {
			err = errors.Join(err, tx.PutVulnerabilityDatabase(t.Context(), scan.Database{Kind: kind, Repository: repo, Digest: digest.FromString("d")}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	status, said := d.ask("GET", "/scanner/databases", nil)
	var answer remote.Databases
	if err := json.Unmarshal([]byte(said), &answer); err != nil || status != 200 || len(answer.Databases) != 2 || answer.Token != "token" {
		t.Fatalf("%d %s", status, said)
	}
	if want := []registry.Name{"berth/java", "berth/db"}; !slices.Equal(d.asked[0], want) {
		t.Errorf("the token is for %v", d.asked)
	}
}

// TestClosing: who waits for work does not keep a server from stopping.
func TestClosing(t *testing.T) {
	d := newDoor(t)
	began, answer := time.Now(), make(chan int)
	body, err := json.Marshal(scan.LeaseRequest{Worker: "w", Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		status, _ := d.ask("POST", "/scanner/lease", body)
		answer <- status
	}()
	time.Sleep(100 * time.Millisecond)
	close(d.closing)
	if status := <-answer; status != http.StatusNoContent || time.Since(began) > 20*time.Second {
		t.Errorf("%d after %s", status, time.Since(began))
	}
}
