package oci_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/registry"
	"berth/registry/registrytest"
)

// TestHeadIsGetWithoutBody compares the headers of both, for whatever can be read.
func TestHeadIsGetWithoutBody(t *testing.T) {
	s := serve(t, nil, nil)
	image := registrytest.Recipe{Seed: 1}.Image()
	subject := image.Descriptor()
	referrer := registrytest.Recipe{Seed: 2, Layers: -1, Subject: &subject}.Image()
	for _, i := range []registrytest.Image{image, referrer} {
		for _, b := range i.Blobs {
			if _, err := s.engine.PutBlob(t.Context(), "a", b.Chunk(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.engine.PutManifest(t.Context(), "a", i.Manifest, []registry.Tag{"latest", "other"}); err != nil {
			t.Fatal(err)
		}
	}
	blob := "/v2/a/blobs/" + image.Blobs[1].Digest.String()
	for _, target := range []string{
		"/v2/", "/v2",
		"/v2/_catalog", "/v2/_catalog?n=1",
		"/v2/a/tags/list", "/v2/a/tags/list?n=1", "/v2/b/tags/list",
		"/v2/a/referrers/" + subject.Digest.String(), "/v2/a/referrers/sha256:abc",
		"/v2/a/manifests/latest", "/v2/a/manifests/" + image.Digest.String(), "/v2/a/manifests/none", "/v2/b/manifests/latest",
		blob, "/v2/b/blobs/" + image.Digest.String(), "/v2/a/blobs/" + image.Digest.String(), "/v2/A/blobs/none",
		s.start(t), "/v2/a/blobs/uploads/none",
		"/nothing",
	} {
		for _, condition := range [][2]string{{}, {"Range", "bytes=1-3"}, {"Range", "bytes=1-3,5-6"}, {"Range", "bytes=1000000-"}, {"If-None-Match", "*"}} {
			get, body := s.ask(t, "GET", target, condition)
			head, none := s.ask(t, "HEAD", target, condition)
			if get.StatusCode != head.StatusCode || none != "" {
				t.Errorf("%s %v: GET %s, HEAD %s with %d bytes", target, condition, get.Status, head.Status, len(none))
			}
			if get.StatusCode == http.StatusOK && get.ContentLength != int64(len(body)) {
				t.Errorf("%s: Content-Length %d of %d bytes", target, get.ContentLength, len(body))
			}
			for _, h := range []http.Header{get.Header, head.Header} {
				h.Del("Date")
				if h.Get("X-Request-Id") == "" || h.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
					t.Errorf("%s: headers %v", target, h)
				}
				h.Del("X-Request-Id")
				if boundary := h.Get("Content-Type"); len(boundary) > 60 { // of many ranges, random
					h.Del("Content-Type")
				}
			}
			if diff := cmp.Diff(get.Header, head.Header); diff != "" {
				t.Errorf("%s %v: HEAD has other headers (-GET +HEAD):\n%s", target, condition, diff)
			}
		}
	}
}

func (s *server) ask(t *testing.T, method, target string, header [2]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header[0] != "" {
		r.Header.Set(header[0], header[1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}
