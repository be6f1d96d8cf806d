package token_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/auth"
	"berth/registry"
)

// TestIssueScanner: a scanner pulls with its token until that ends, and gets no other with it.
func TestIssueScanner(t *testing.T) {
	e := newEndpoint(t)
	repos := []registry.Name{"team/app", "berth/trivy-db"}
	issued, err := e.issuer.IssueScanner(t.Context(), repos, 10*time.Minute)
	must(t, err)
	p, err := e.issuer.Verify(t.Context(), issued.Text)
	must(t, err)
	if diff := cmp.Diff(auth.ScannerFor(repos), p); diff != "" {
		t.Errorf("the principal (-want +got):\n%s", diff)
	}
	if _, err := e.issuer.VerifyRefresh(t.Context(), issued.Text); err == nil {
		t.Error("the token passes for a refresh token")
	}
	if _, err := e.issuer.VerifyLogin(t.Context(), issued.Text); err == nil {
		t.Error("the token passes for a password")
	}
	e.clock.Advance(11 * time.Minute)
	if _, err := e.issuer.Verify(t.Context(), issued.Text); err == nil {
		t.Error("the token does not end")
	}
}
