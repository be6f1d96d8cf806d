package s3

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[Operation]int)
	s, f := faulty(t, s3test.Start(t), func(o *Options) {
		o.Observe = func(op Operation) {
			mu.Lock()
			defer mu.Unlock()
			if op.Elapsed <= 0 {
				t.Errorf("%+v", op)
			}
			op.Elapsed = 0
			seen[op]++
		}
	})
	f.set(Part, 2, refuse(503, "SlowDown"))
	key, b := blob.NewKey(), content(11<<20)
	if err := writeAll(t, s, key, b); err != nil {
		t.Fatal(err)
	}
	f.set(Get, 1, cutBefore)
	check(t, s, key, b)
	if _, err := s.Size(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for op, want := range map[Operation]int{
		{Kind: Begin, Status: 200}:            1,
		{Kind: Complete, Status: 200}:         1,
		{Kind: Get, Err: errCable}:            1,
		{Kind: Get, Status: 200, Retry: true}: 1,
		{Kind: Head, Status: 200}:             1,
		{Kind: Remove, Status: 204}:           1,
	} {
		if seen[op] != want {
			t.Errorf("%+v was seen %d times", op, seen[op])
		}
	}
	failed := seen[Operation{Kind: Part, Status: 503}] + seen[Operation{Kind: Part, Status: 503, Retry: true}]
	if retried := seen[Operation{Kind: Part, Status: 200, Retry: true}]; failed != 2 || retried == 0 {
		t.Errorf("of parts %d requests failed, and %d retries did not", failed, retried)
	}
}

func TestLimits(t *testing.T) {
	var now, most atomic.Int64
	slow := func(f *faults, r *http.Request) (*http.Response, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		return f.send(r)
	}
	s, f := faulty(t, s3test.Start(t), func(o *Options) { o.MaxRequests, o.MaxRate = 3, 50 })
	f.set(Put, -1, slow)
	began := time.Now()
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() {
			if err := writeAll(t, s, blob.NewKey(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if most.Load() != 3 {
		t.Errorf("%d requests at once; want 3", most.Load())
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("60 requests at 50 a second took %v", took)
	}
}

// TestOpenReadersTakeNoTurn: clients who read slowly keep nobody from writing.
func TestOpenReadersTakeNoTurn(t *testing.T) {
	s := openStore(t, s3test.Start(t), func(o *Options) { o.MaxRequests = 2 })
	key := blob.NewKey()
	if err := writeAll(t, s, key, content(big)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r, err := s.Open(t.Context(), key, blob.Span{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
}

func TestTLS(t *testing.T) {
	server := s3test.Start(t)
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: server.Endpoint})
		r.Out.Host = r.In.Host // which is signed
	}})
	t.Cleanup(front.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, server, func(o *Options) { o.Endpoint, o.CA = front.URL, ca })
	for _, n := range []int{small, big} {
		key, b := blob.NewKey(), content(n)
		if err := writeAll(t, s, key, b); err != nil {
			t.Fatal(err)
		}
		check(t, s, key, b)
	}
}
