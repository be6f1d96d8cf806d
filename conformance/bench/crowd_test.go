package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestPushPatiently pushes to a registry that is busy twice, once at each of two steps.
func TestPushPatiently(t *testing.T) {
	var busy atomic.Int64
	busy.Store(2)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		refuse := func(left int64) bool {
			if !busy.CompareAndSwap(left, left-1) {
				return false
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		switch r.Method {
		case http.MethodPost:
			if !refuse(2) {
				w.Header().Set("Location", "/upload")
				w.WriteHeader(http.StatusAccepted)
			}
		case http.MethodPatch:
			if !refuse(1) {
				w.Header().Set("Location", "/upload?got="+digestOf(body))
				w.WriteHeader(http.StatusAccepted)
			}
		case http.MethodPut:
			if q := r.URL.Query(); q.Get("digest") == q.Get("got") {
				w.WriteHeader(http.StatusCreated)
			}
		}
	}))
	defer registry.Close()
	c, err := newClient(t.Context(), registry.URL, "", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if again, err := c.pushPatiently("crowd/0", newMill(1<<20).blob()); err != nil || again != 2 {
		t.Errorf("begun again %d times: %v", again, err)
	}
}
