package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/conformance/internal/server"
)

// TestCutPatchIsRefused has a registry say that it has lost an upload while the client is still sending. That is right
// only after a kill that came when the upload was being ended.
func TestCutPatchIsRefused(t *testing.T) {
	lost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`)
	}))
	defer lost.Close()

	const size = 64 << 20 // more than the system takes of a body that nobody reads
	r := newRun(options{clients: 1, seed: 1}, t.TempDir())
	r.registry.running = []*process{{Berth: &server.Berth{Addr: strings.TrimPrefix(lost.URL, "http://")}}}
	u := &upload{
		client: r.clients[0], repo: r.model.repos[0], path: "/",
		content: newContent(1, size, digest.SHA256),
	}
	if err := u.cutPatch(size); err == nil || errors.Is(err, errGone) {
		t.Errorf("an upload that must be there is lost: %v", err)
	}
	u.shaky = true
	if err := u.cutPatch(size); !errors.Is(err, errGone) {
		t.Errorf("an upload that may be lost is: %v", err)
	}
}
