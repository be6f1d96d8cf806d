package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth/auth"
	"berth/auth/authtest"
	"berth/registry"
)

// countingStore counts the reads that are not of the generation.
type countingStore struct {
	auth.Store
	reads atomic.Int64
	fault error
}

func (s *countingStore) Account(ctx context.Context, name string) (auth.Account, error) {
	s.reads.Add(1)
	return s.Store.Account(ctx, name)
}

func (s *countingStore) Generation(ctx context.Context) (int64, error) {
	if s.fault != nil {
		return 0, s.fault
	}
	return s.Store.Generation(ctx)
}

func TestAccessIsExactAndRemembers(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	counting := &countingStore{Store: w.store}
	access, err := auth.NewAccess(counting, auth.Options{Clock: w.clock.Now})
	must(t, err)
	p := w.user(t, "ci", auth.PowerUser)
	ctx = auth.WithPrincipal(ctx, p)
	may := func(a auth.Action) error { return access.Authorize(ctx, a, "team/app") }

	for range 10 {
		must(t, may(auth.PutImage))
	}
	if n := counting.reads.Load(); n != 1 {
		t.Errorf("the account was read %d times", n)
	}

	must(t, w.manager.PutPolicy(ctx, "no-push", document(`{"Effect":"Deny","Action":"ecr:PutImage","Resource":"*"}`)))
	must(t, may(auth.PutImage))
	must(t, w.manager.Attach(ctx, "ci", "no-push"))
	if err := may(auth.PutImage); !errors.Is(err, registry.ErrDenied) || !strings.Contains(err.Error(), "the policy no-push denies it (statement #1)") {
		t.Errorf("after a policy that denies: %v", err)
	}
	must(t, w.manager.PutPolicy(ctx, "no-push", document(`{"Effect":"Deny","Action":"ecr:DeleteRepository","Resource":"*"}`)))
	must(t, may(auth.PutImage))
	must(t, w.manager.Detach(ctx, "ci", auth.PowerUser))
	if err := may(auth.PutImage); !errors.Is(err, registry.ErrDenied) {
		t.Errorf("after the policy was detached: %v", err)
	}

	counting.fault = errors.New("no database")
	if err := may(auth.PutImage); !errors.Is(err, counting.fault) {
		t.Errorf("without a database: %v", err)
	}
}

func TestAccessEndsWithTheAccount(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	p := limited(t, w.user(t, "ci", auth.PowerUser), "repository:a:pull,push registry:catalog:*")
	guard := auth.Guard(&fakeRegistry{}, w.access)
	ctx = auth.WithPrincipal(ctx, p)
	expectGone := func(says string) {
		t.Helper()
		for what, err := range map[string]error{
			"Authorize": w.access.Authorize(ctx, auth.PutImage, "a"),
			"Greet":     w.access.Greet(ctx),
			"Repositories": func() error {
				_, err := guard.Repositories(ctx, "", 10)
				return err
			}(),
			"Granted": func() error {
				_, err := w.access.Granted(ctx, p, p.Scopes)
				return err
			}(),
		} {
			refused, ok := errors.AsType[*auth.RefusedError](err)
			if !ok || !errors.Is(err, registry.ErrUnauthorized) || refused.Reason != auth.InvalidToken || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, which should say %q", what, err, says)
			}
		}
	}
	must(t, w.access.Authorize(ctx, auth.PutImage, "a"))
	must(t, w.access.Greet(ctx))

	must(t, w.manager.SetDisabled(ctx, "ci", true))
	expectGone("user ci is disabled")
	must(t, w.manager.SetDisabled(ctx, "ci", false))
	must(t, w.access.Authorize(ctx, auth.PutImage, "a"))

	must(t, w.manager.SetPassword(ctx, "ci", "correct horse"))
	expectGone("the password of user ci has changed")

	must(t, w.manager.DeleteAccount(ctx, "ci"))
	expectGone("user ci does not exist any more")
	_, err := w.manager.CreateUser(ctx, "ci", "another horse")
	must(t, err)
	must(t, w.manager.Attach(ctx, "ci", auth.FullAccess))
	expectGone("has changed") // the token was not the new account's
}

func TestAccessEndsWithARobotsExpiry(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	a, _, err := w.manager.CreateRobot(ctx, "deploy", w.clock.Now().Add(time.Hour))
	must(t, err)
	must(t, w.manager.Attach(ctx, "deploy", auth.PullOnly))
	ctx = auth.WithPrincipal(ctx, auth.Principal{Name: "deploy", Kind: auth.Robot, Credential: a.Fingerprint()})
	must(t, w.access.Authorize(ctx, auth.BatchGetImage, "a"))
	w.clock.Advance(time.Hour)
	if err := w.access.Authorize(ctx, auth.BatchGetImage, "a"); !errors.Is(err, registry.ErrUnauthorized) || !strings.Contains(err.Error(), "robot deploy expired at") {
		t.Error(err)
	}
}

func TestAccessRefusesAllIfAPolicyCannotBeRead(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	p := w.user(t, "ci", auth.FullAccess)
	must(t, w.store.PutPolicy(ctx, auth.StoredPolicy{Name: "broken", Document: `{}`}))
	must(t, w.store.Attach(ctx, "ci", "broken"))
	err := w.access.Authorize(auth.WithPrincipal(ctx, p), auth.PutImage, "a")
	if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), "broken") {
		t.Error(err)
	}
}

var grantedTests = []struct {
	name, policy, wanted, want string
}{
	{"all of it", auth.PowerUser, "repository:a:pull,push", "repository:a:pull,push"},
	{"a part", auth.ReadOnly, "repository:a:pull,push,delete", "repository:a:pull"},
	{"nodes", auth.PullOnly, "repository:a:push,pull", "repository:a:pull"},
	{"star", auth.PowerUser, "repository:a:*", "repository:a:pull,push"},
	{"star with everything", auth.FullAccess, "repository:a:*", "repository:a:pull,push,delete"},
	{"nothing", auth.ReadOnly, "repository:a:push", ""},
	{"several", pushTeam, "repository:team/x:push repository:other:push", "repository:team/x:push"},
	{"one action is enough", allow("a", auth.ListImages), "repository:a:pull,push", "repository:a:pull"},
	{"checking layers is not pushing", allow("a", auth.BatchCheckLayerAvailability), "repository:a:pull,push", "repository:a:pull"},
	{"catalog", auth.PullOnly, "registry:catalog:*", "registry:catalog:*"},
	{"catalog without the star", auth.PullOnly, "registry:catalog:list", ""},
	{"other registry resources", auth.FullAccess, "registry:gc:*", ""},
	{"other types and actions", auth.FullAccess, "plugin:a:run repository:a:fly", ""},
}

func TestGranted(t *testing.T) {
	for _, test := range grantedTests {
		w := newWorld(t)
		p := w.user(t, "ci", test.policy)
		wanted, err := auth.ParseScopes(test.wanted)
		must(t, err)
		granted, err := w.access.Granted(t.Context(), p, wanted)
		if got := auth.FormatScopes(granted); err != nil || got != test.want {
			t.Errorf("%s: %q, want %q (%v)", test.name, got, test.want, err)
		}
	}
}

func TestGrantedToAnonymous(t *testing.T) {
	wanted, err := auth.ParseScopes("repository:public/a:pull,push repository:b:pull registry:catalog:*")
	must(t, err)
	for want, w := range map[string]*world{
		"": newWorld(t),
		"repository:public/a:pull registry:catalog:*": newWorld(t, "public/*"),
	} {
		granted, err := w.access.Granted(t.Context(), auth.Nobody, wanted)
		if got := auth.FormatScopes(granted); err != nil || got != want {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
	}
}

func TestGreet(t *testing.T) {
	w := newWorld(t, "*")
	if err := w.access.Greet(t.Context()); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("nobody: %v", err)
	}
	must(t, w.access.Greet(auth.WithPrincipal(t.Context(), limited(t, auth.Nobody, ""))))
}

// TestAccessUnderChange changes policies while others decide: who saw a change made
// must see its effect.
func TestAccessUnderChange(t *testing.T) {
	ctx := t.Context()
	store := authtest.NewStore()
	access, err := auth.NewAccess(store, auth.Options{})
	must(t, err)
	manager := &auth.Manager{Store: store}
	const accounts = 4
	for i := range accounts {
		must(t, store.CreateAccount(ctx, auth.Account{Name: fmt.Sprintf("ci%d", i), Kind: auth.User}))
	}
	var wg sync.WaitGroup
	for i := range accounts {
		name := fmt.Sprintf("ci%d", i)
		asCI := auth.WithPrincipal(ctx, auth.Principal{Name: name, Kind: auth.User})
		wg.Go(func() {
			for range 200 {
				if err := manager.Attach(ctx, name, auth.PowerUser); err != nil {
					t.Error(err)
				}
				if err := access.Authorize(asCI, auth.PutImage, "a"); err != nil {
					t.Errorf("attached: %v", err)
				}
				if err := manager.Detach(ctx, name, auth.PowerUser); err != nil {
					t.Error(err)
				}
				if err := access.Authorize(asCI, auth.PutImage, "a"); !errors.Is(err, registry.ErrDenied) {
					t.Errorf("detached: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRefusalsAreReported(t *testing.T) {
	var reported []string
	access, err := auth.NewAccess(authtest.NewStore(), auth.Options{
		Refused: func(_ context.Context, e *auth.RefusedError) {
			reported = append(reported, fmt.Sprintf("%s %s %s", e.Principal, e.Action, e.Repo))
		},
	})
	must(t, err)
	if _, err := auth.Guard(&fakeRegistry{}, access).OpenBlob(t.Context(), "a", blob, registry.Span{}); err == nil {
		t.Error("not refused")
	}
	if len(reported) != 1 || reported[0] != "anonymous ecr:GetDownloadUrlForLayer a" {
		t.Errorf("reported %q", reported)
	}
}

func TestTokensAreNotForAdministration(t *testing.T) {
	w := newWorld(t)
	admin := w.user(t, "admin", auth.FullAccess)
	must(t, w.access.Authorize(auth.WithPrincipal(t.Context(), admin), auth.PutRegistryPolicy, ""))
	ctx := auth.WithPrincipal(t.Context(), limited(t, admin, "registry:catalog:* repository:a:pull,push,delete"))
	must(t, w.access.Authorize(ctx, auth.DescribeRepositories, ""))
	must(t, w.access.Authorize(ctx, auth.BatchDeleteImage, "a"))
	for action, repo := range map[auth.Action]registry.Name{auth.PutRegistryPolicy: "", auth.DeleteRepository: "a", auth.SetRepositoryPolicy: "a"} {
		if err := w.access.Authorize(ctx, action, repo); !errors.Is(err, registry.ErrUnauthorized) {
			t.Errorf("%s: %v", action, err)
		}
	}
}
