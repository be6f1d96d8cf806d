package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"berth/auth"
	"berth/registry"
)

// scanning is a registry that notes whether a scanner asks it.
type scanning struct {
	*fakeRegistry
	by []bool
}

func (s *scanning) Manifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Manifest, error) {
	s.by = append(s.by, registry.FromScanner(ctx))
	return s.fakeRegistry.Manifest(ctx, repo, ref)
}

func (s *scanning) StatManifest(ctx context.Context, repo registry.Name, ref registry.Reference) (registry.Descriptor, error) {
	s.by = append(s.by, registry.FromScanner(ctx))
	return s.fakeRegistry.StatManifest(ctx, repo, ref)
}

// TestScanner reads what its token names, whatever policies say, and does nothing else.
func TestScanner(t *testing.T) {
	w, next := newWorld(t), &scanning{fakeRegistry: &fakeRegistry{}}
	deny := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:*"}}`
	if err := w.store.SetRepository(t.Context(), "team/app", deny, nil); err != nil {
		t.Fatal(err)
	}
	guard := auth.Guard(next, w.access)
	reads := []string{"StatBlob", "OpenBlob", "BlobURL", "StatManifest", "Manifest", "Referrers"}
	scanner := auth.ScannerFor([]registry.Name{"team/app", "team/db"})
	unlimited, robot := scanner, w.user(t, "ci", auth.FullAccess)
	unlimited.Limited = false
	posing := robot // a robot that says that it is a scanner has no token
	posing.Kind = auth.Scanner
	for _, c := range guardCalls {
		for _, repo := range []registry.Name{"team/app", "team/db", "other"} {
			err := c.call(auth.WithPrincipal(t.Context(), scanner), guard, repo)
			if want := repo != "other" && slices.Contains(reads, c.name); (err == nil) != want {
				t.Errorf("%s of %s: %v", c.name, repo, err)
			}
			for _, p := range []auth.Principal{unlimited, posing, auth.ScannerFor(nil)} {
				if err := c.call(auth.WithPrincipal(t.Context(), p), guard, repo); !errors.Is(err, registry.ErrDenied) {
					t.Errorf("%s of %s without a token for it: %v", c.name, repo, err)
				}
			}
		}
	}
	if len(next.by) == 0 || slices.Contains(next.by, false) {
		t.Errorf("what the registry is told of scanners: %v", next.by)
	}
	next.by = nil
	if _, err := guard.Manifest(auth.WithPrincipal(t.Context(), robot), "team/db", registry.Reference{Tag: "v1"}); err != nil || next.by[0] {
		t.Errorf("a robot is a scanner: %v, %v", next.by, err)
	}
	ctx := auth.WithPrincipal(t.Context(), scanner)
	next.names = []registry.Name{"other", "team/app"}
	if names, err := guard.Repositories(ctx, "", 10); err == nil && len(names) > 0 {
		t.Errorf("it sees %v", names)
	}
	if err := w.access.Authorize(ctx, auth.ScanImages, ""); !errors.Is(err, registry.ErrDenied) {
		t.Errorf("it may be given jobs with what it pulls with: %v", err)
	}
	if err := w.access.Greet(ctx); err != nil {
		t.Errorf("it is not greeted: %v", err)
	}
	if granted, err := w.access.Granted(ctx, scanner, []auth.Scope{{Type: "repository", Name: "team/app", Actions: []string{"push", "delete"}}}); err != nil || len(granted) > 0 {
		t.Errorf("it is granted %v: %v", granted, err)
	}
	if err := w.access.Authorize(auth.WithPrincipal(t.Context(), robot), auth.ScanImages, ""); err != nil {
		t.Errorf("full access is not for scanners: %v", err)
	}
	if err := w.access.Authorize(auth.WithPrincipal(t.Context(), w.user(t, "dev", auth.PowerUser)), auth.ScanImages, ""); !errors.Is(err, registry.ErrDenied) {
		t.Errorf("who may push is a scanner: %v", err)
	}
	if _, err := auth.ParseAccountName(scanner.Name); err == nil {
		t.Error("an account can have the name of scanners")
	}
}
