package main

import (
	"net/http/httptest"
	"testing"
)

// TestHost: what clients have signed for is known behind proxies too, and nobody else is
// believed.
func TestHost(t *testing.T) {
	for _, test := range []struct {
		name, remote, forwarded, public, want string
	}{
		{"direct", "192.0.2.1:1", "", "", "called"},
		{"direct, with a public URL", "192.0.2.1:1", "", "https://public", "called"},
		{"a stranger who forwards", "192.0.2.1:1", "evil", "https://public", "called"},
		{"a proxy that changes the host", "10.0.0.1:1", "", "https://public:8443/", "public:8443"},
		{"a proxy that tells", "10.0.0.1:1", "told", "https://public", "told"},
		{"a proxy that passes it on", "10.0.0.1:1", "", "", "called"},
	} {
		proxies, err := parseCIDRs([]string{"10.0.0.0/8"})
		if err != nil {
			t.Fatal(err)
		}
		s := site{flags: serveFlags{PublicURL: test.public}, proxies: proxies}
		r := httptest.NewRequest("POST", "http://called/", nil)
		r.RemoteAddr = test.remote
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-Host", test.forwarded)
		}
		if got := s.host(r); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
