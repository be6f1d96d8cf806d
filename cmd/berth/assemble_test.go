package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestGate lets the last request out before the database is closed, and none in
// afterwards.
func TestGate(t *testing.T) {
	var g gate
	inside, goOn := make(chan struct{}), make(chan struct{})
	h := g.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-goOn
	}))
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w.Code
	}
	first, shut := make(chan int), make(chan struct{})
	go func() { first <- ask() }()
	<-inside
	go func() {
		g.close()
		close(shut)
	}()
	for g.enter() { // until close has come so far
		g.inside.Done()
	}
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("a request after the end: %d", code)
	}
	select {
	case <-shut:
		t.Error("the gate is shut with a request inside")
	default:
	}
	close(goOn)
	<-shut
	if code := <-first; code != http.StatusOK {
		t.Errorf("the request that was inside: %d", code)
	}
}
