package oci

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"berth/registry"
)

// contentRange is the expression of the specification.
var contentRange = regexp.MustCompile(`^[0-9]+-[0-9]+$`)

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"0-0", "0-4", "5-9", "007-010", "4611686018427387903-4611686018427387903", "", "-", "-1", "1-", "2-1", "a-b", "+1-+2", "1-2-3", "1--2", " 1-2", "1_0-2_0", "9223372036854775807-9223372036854775807", "bytes 0-1/2", "٣-٤"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, err := parseContentRange(s)
		if err != nil {
			if !errors.Is(err, registry.ErrUploadInvalid) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if !contentRange.MatchString(s) || first < 0 || last < first || last-first+1 < 1 {
			t.Errorf("%q is read as %d to %d", s, first, last)
		}
		a, b, _ := strings.Cut(s, "-")
		if trimZeros(a) != strconv.FormatInt(first, 10) || trimZeros(b) != strconv.FormatInt(last, 10) {
			t.Errorf("%q is read as %d to %d", s, first, last)
		}
	})
}

func trimZeros(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}

func FuzzPage(f *testing.F) {
	for _, q := range []string{"", "n=1", "n=0", "n=-1", "n=+1", "n=1&n=2", "n=99999999999999999999", "n=1e3", "last=a", "last=%00", "last=%ff&n=10001", "n=%31", "last=a;b&n=3", "%zz"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{Path: "/v2/a/tags/list", RawQuery: query}}
		p, err := parsePage(r)
		if err != nil {
			if !errors.Is(err, registry.ErrPageInvalid) {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		if p.limit < 0 || p.limit > maxPage {
			t.Errorf("%q: a page of %d", query, p.limit)
		}
		// What a page links to is the page after it.
		w := httptest.NewRecorder()
		p.link(w, r, "next & last")
		next, found := strings.CutSuffix(w.Header().Get("Link"), `>; rel="next"`)
		u, err := url.Parse(strings.TrimPrefix(next, "<"))
		if !found || err != nil {
			t.Fatalf("%q: Link %q", query, w.Header().Get("Link"))
		}
		again, err := parsePage(&http.Request{URL: u})
		if err != nil || again.limit != p.limit || again.last != "next & last" {
			t.Errorf("%q links to %s, which is %+v, %v", query, u, again, err)
		}
	})
}

// TestStatuses shows that whatever a Registry may answer has a status.
func TestStatuses(t *testing.T) {
	for _, s := range statuses {
		if got := statusOf(fmt.Errorf("wrapped: %w", s.err)); got != s.status {
			t.Errorf("%v: %d, want %d", s.err, got, s.status)
		}
	}
	for _, err := range []*registry.Error{
		registry.ErrNameInvalid, registry.ErrNameUnknown, registry.ErrTagInvalid, registry.ErrDigestInvalid,
		registry.ErrSizeInvalid, registry.ErrBlobUnknown, registry.ErrBlobReferenced, registry.ErrUploadUnknown,
		registry.ErrUploadInvalid, registry.ErrRangeInvalid, registry.ErrManifestUnknown, registry.ErrManifestInvalid,
		registry.ErrManifestTooLarge, registry.ErrManifestBlobUnknown, registry.ErrManifestReferenced, registry.ErrUnauthorized,
		registry.ErrDenied, registry.ErrPageInvalid, registry.ErrUnsupported, registry.ErrTooManyRequests,
		registry.ErrUnavailable, registry.ErrStorageFull,
	} {
		if statusOf(err) == http.StatusInternalServerError {
			t.Errorf("%v has no status", err)
		}
	}
}
