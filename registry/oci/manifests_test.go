package oci_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"berth/auth"
	"berth/registry"
	"berth/registry/oci"
)

// TestRefusedBeforeTheManifest does not read the manifest of one who may not push it.
func TestRefusedBeforeTheManifest(t *testing.T) {
	s := serve(t, nil, func(o *oci.Options) {
		o.Authorize = func(_ context.Context, action auth.Action, repo registry.Name) error {
			if action != auth.PutImage || repo != "team/app" {
				return fmt.Errorf("asked for %s on %s", action, repo)
			}
			return registry.ErrDenied
		}
	})
	for _, length := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		w := s.dial(t)
		w.send("PUT /v2/team/app/manifests/latest HTTP/1.1\nHost: x\n"+length+"\nExpect: 100-continue\n\n", "")
		w.want(403, "DENIED") // and not 100
		if a := <-s.accesses; a.Received != 0 {
			t.Errorf("%s: %d bytes were read of a manifest that is refused", length, a.Received)
		}
	}
}

// slowly keeps manifests in memory until it is told to go on.
type slowly struct {
	registry.Registry
	arrived, goOn chan struct{}
}

func (s slowly) PutManifest(ctx context.Context, repo registry.Name, m registry.Manifest, tags []registry.Tag) (registry.Content, error) {
	s.arrived <- struct{}{}
	<-s.goOn
	return s.Registry.PutManifest(ctx, repo, m, tags)
}

// TestManifestsInMemory pushes more manifests at once than may be in memory.
func TestManifestsInMemory(t *testing.T) {
	between := slowly{arrived: make(chan struct{}), goOn: make(chan struct{})}
	s := serveBehind(t, nil, func(o *oci.Options) {
		o.ManifestMemory = 1000
		o.StallTimeout = 300 * time.Millisecond
	}, func(next registry.Registry) registry.Registry {
		between.Registry = next
		return between
	})
	index := func(size int) string {
		const head, tail = `{"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"a":"`, `"}}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	put := func(tag string, size int) (int, http.Header) {
		r, err := http.NewRequest("PUT", s.URL+"/v2/team/app/manifests/"+tag, strings.NewReader(index(size)))
		if err != nil {
			t.Error(err)
			return 0, nil
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, nil
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header
	}
	codes := make(chan int)
	for i := range 2 {
		go func() {
			code, _ := put(fmt.Sprint("first", i), 400)
			codes <- code
		}()
	}
	<-between.arrived
	<-between.arrived
	if code, h := put("late", 400); code != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a manifest for which there is no room: %d, Retry-After %q", code, h.Get("Retry-After"))
	}
	go func() {
		code, _ := put("waiting", 5000) // more than all there is, so it waits for all
		codes <- code
	}()
	between.goOn <- struct{}{}
	between.goOn <- struct{}{}
	<-between.arrived
	between.goOn <- struct{}{}
	for range 3 {
		if code := <-codes; code != 201 {
			t.Errorf("a manifest for which there is room: %d", code)
		}
	}
}

// asked notes who pulls.
type asked struct {
	registry.Registry
	by chan string
}

func (a asked) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	a.by <- registry.PullerFrom(ctx)
	return registry.Manifest{}, registry.ErrManifestUnknown
}

// TestPuller: the registry learns who pulls, since some pulls do not count.
func TestPuller(t *testing.T) {
	between := asked{by: make(chan string, 1)}
	s := serveBehind(t, nil, func(o *oci.Options) {
		o.Authenticate = func(*http.Request) (auth.Principal, error) { return auth.Principal{Name: "ann", Kind: auth.User}, nil }
		o.Location = auth.Location{Account: "111122223333"}
	}, func(next registry.Registry) registry.Registry {
		between.Registry = next
		return between
	})
	answer, err := http.Get(s.URL + "/v2/team/app/manifests/latest")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if by := <-between.by; by != "arn:aws:iam::111122223333:user/ann" {
		t.Errorf("pulled by %q", by)
	}
}
