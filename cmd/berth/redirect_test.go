package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/registry/registrytest"
	"berth/storage/blob/s3/s3test"
)

// pull is a request for a blob, and what it is answered. Redirects are not followed.
type pull struct {
	method   string
	url      string
	header   http.Header
	stranger bool // does not log in
}

func (p pull) do(t *testing.T) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.method, p.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range p.header {
		req.Header[name] = values
	}
	if !p.stranger {
		req.SetBasicAuth("admin", "correct-horse")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// pushBlob pushes a blob to the repository a.
func pushBlob(t *testing.T, addr string, b registrytest.Blob) (blobURL string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/v2/a/blobs/uploads/?digest="+b.Digest.String(), bytes.NewReader(b.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "correct-horse")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
	return "http://" + addr + "/v2/a/blobs/" + b.Digest.String()
}

// TestRedirect sends pulls to a real bucket. Version 1.1.1 of the specification says
// nothing of redirects; its draft lets any request be redirected and clients follow
// without their Authorization.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
func TestRedirect(t *testing.T) {
	bucket := s3test.Start(t)
	_, addr := serveForTest(t, "--storage", bucket.URL(bucket.Bucket(t)), "--redirect", "always")
	large := registrytest.NewBlob(1, 100_000)
	blobURL := pushBlob(t, addr, large)

	resp, body := pull{method: "GET", url: blobURL}.do(t)
	if resp.StatusCode != http.StatusTemporaryRedirect || len(body) != 0 {
		t.Fatalf("%s, %d bytes; want 307 and none", resp.Status, len(body))
	}
	if got := resp.Header.Get("Docker-Content-Digest"); got != large.Digest.String() {
		t.Errorf("the digest is %q", got)
	}
	location := resp.Header.Get("Location")
	u, err := url.Parse(location)
	if err != nil || u.Host != bucket.Endpoint {
		t.Fatalf("clients are sent to %s (%v)", location, err)
	}
	if strings.Contains(location, s3test.SecretKey) {
		t.Errorf("the URL has the secret key: %s", location)
	}
	if got := u.Query().Get("X-Amz-Expires"); got != "1200" {
		t.Errorf("the URL is good for %s seconds", got)
	}

	t.Run("follow", func(t *testing.T) {
		resp, body := pull{method: "GET", url: location, stranger: true}.do(t)
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, large.Bytes) {
			t.Errorf("%s, %d bytes", resp.Status, len(body))
		}
	})
	t.Run("range", func(t *testing.T) {
		part := http.Header{"Range": {"bytes=70000-70009"}}
		if resp, _ := (pull{method: "GET", url: blobURL, header: part}).do(t); resp.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s; want 307", resp.Status)
		}
		resp, body := pull{method: "GET", url: location, header: part, stranger: true}.do(t)
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, large.Bytes[70000:70010]) ||
			resp.Header.Get("Content-Range") != "bytes 70000-70009/100000" {
			t.Errorf("%s, %d bytes, %q", resp.Status, len(body), resp.Header.Get("Content-Range"))
		}
	})
	// It costs no bytes, and the signature is one for GET.
	t.Run("HEAD is not redirected", func(t *testing.T) {
		resp, _ := pull{method: "HEAD", url: blobURL}.do(t)
		if resp.StatusCode != http.StatusOK || resp.ContentLength != large.Size {
			t.Errorf("%s, %d bytes", resp.Status, resp.ContentLength)
		}
	})
	t.Run("small blobs are in no bucket", func(t *testing.T) {
		small := registrytest.NewBlob(2, 1000)
		resp, body := pull{method: "GET", url: pushBlob(t, addr, small)}.do(t)
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, small.Bytes) {
			t.Errorf("%s, %d bytes", resp.Status, len(body))
		}
	})
	t.Run("strangers are not redirected", func(t *testing.T) {
		resp, body := pull{method: "GET", url: blobURL, stranger: true}.do(t)
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %s", resp.Status, body)
		}
	})
	t.Run("unknown blobs", func(t *testing.T) {
		unknown := "http://" + addr + "/v2/a/blobs/" + registrytest.NewBlob(3, 100).Digest.String()
		if resp, body := (pull{method: "GET", url: unknown}).do(t); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", resp.Status, body)
		}
	})
	t.Run("a longer life", func(t *testing.T) {
		forged := strings.Replace(location, "X-Amz-Expires=1200", "X-Amz-Expires=604800", 1)
		if resp, _ := (pull{method: "GET", url: forged, stranger: true}).do(t); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a URL that was made to last longer is answered %s", resp.Status)
		}
	})
}

// TestRedirectNetworks: who is outside of the networks gets the bytes from us, and who is
// inside is not for himself to say.
func TestRedirectNetworks(t *testing.T) {
	bucket := s3test.Start(t)
	blob := registrytest.NewBlob(1, 100_000)
	for _, test := range []struct {
		name      string
		flags     []string
		forwarded string // X-Forwarded-For
		redirect  bool
	}{
		{"off", nil, "", false},
		{"inside", []string{"--redirect", "127.0.0.0/8"}, "", true},
		{"one of several", []string{"--redirect", "10.0.0.0/8,127.0.0.0/8"}, "", true},
		{"outside", []string{"--redirect", "10.0.0.0/8"}, "", false},
		{"outside, says it is inside", []string{"--redirect", "10.0.0.0/8"}, "10.1.2.3", false},
		{"inside, says it is outside", []string{"--redirect", "127.0.0.0/8"}, "192.0.2.1", true},
		{"inside, behind a proxy", []string{"--redirect", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1/32"}, "10.1.2.3", true},
		{"outside, behind a proxy", []string{"--redirect", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1/32"}, "192.0.2.1", false},
		{"outside, behind a proxy, says it is inside", []string{"--redirect", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1/32"}, "10.1.2.3, 192.0.2.1", false},
		{"the proxy is inside", []string{"--redirect", "127.0.0.0/8", "--trusted-proxy", "127.0.0.1/32"}, "192.0.2.1", false},
		{"another proxy is trusted", []string{"--redirect", "10.0.0.0/8", "--trusted-proxy", "192.0.2.0/24"}, "10.1.2.3", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, addr := serveForTest(t, append([]string{"--storage", bucket.URL(bucket.Bucket(t))}, test.flags...)...)
			p := pull{method: "GET", url: pushBlob(t, addr, blob), header: http.Header{}}
			if test.forwarded != "" {
				p.header.Set("X-Forwarded-For", test.forwarded)
			}
			resp, body := p.do(t)
			got := fmt.Sprint(resp.StatusCode, " ", len(body))
			if want := map[bool]string{true: "307 0", false: "200 100000"}[test.redirect]; got != want {
				t.Errorf("status and bytes are %s; want %s", got, want)
			}
			if !test.redirect && !bytes.Equal(body, blob.Bytes) {
				t.Error("the bytes are others")
			}
		})
	}
}
