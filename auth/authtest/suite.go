package authtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/auth"
)

// RunStore checks that a store does what auth.Store says. open returns an empty
// store for each test and closes it when the test ends.
func RunStore(t *testing.T, open func(t *testing.T) auth.Store) {
	for name, test := range map[string]func(*testing.T, auth.Store){
		"accounts":      testAccounts,
		"with policies": testAccountsWithPolicies,
		"account pages": testAccountPages,
		"updates":       testUpdates,
		"tags":          testTags,
		"trust":         testTrust,
		"policies":      testPolicies,
		"attachments":   testAttachments,
		"generation":    testGeneration,
		"concurrency":   testConcurrency,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// RunResources checks that a store tells what repositories and the registry say
// themselves. open returns an empty store, and what changes those in it.
func RunResources(t *testing.T, open func(t *testing.T) (auth.Store, Resources)) {
	t.Run("resources", func(t *testing.T) {
		s, r := open(t)
		testResources(t, s, r)
	})
	t.Run("pages of resources", func(t *testing.T) {
		s, r := open(t)
		testResourcePages(t, s, r)
	})
}

// document is a policy as PutPolicy gets it.
const document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`

var (
	created = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	alice   = auth.Account{Name: "alice", Kind: auth.User, PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5", CreatedAt: created}
	deploy  = auth.Account{Name: "deploy", Kind: auth.Robot, PasswordHash: "$sha256$c2VjcmV0", Disabled: true, ExpiresAt: created.Add(90 * 24 * time.Hour), CreatedAt: created}
)

// want fails the test unless err is expected, which may be nil.
func want(t *testing.T, what string, err, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("%s: got error %v, want %v", what, err, expected)
	}
}

// same compares accounts; a time may come back in another zone.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("not what was kept (-want +got):\n%s", diff)
	}
}

func testAccounts(t *testing.T, s auth.Store) {
	ctx := t.Context()
	_, err := s.Account(ctx, "alice")
	want(t, "Account of nobody", err, auth.ErrAccountUnknown)
	for _, a := range []auth.Account{alice, deploy} {
		want(t, "CreateAccount", s.CreateAccount(ctx, a), nil)
		got, err := s.Account(ctx, a.Name)
		want(t, "Account", err, nil)
		same(t, got, a)
	}
	want(t, "CreateAccount again", s.CreateAccount(ctx, alice), auth.ErrAccountExists)
	want(t, "DeleteAccount", s.DeleteAccount(ctx, "alice"), nil)
	want(t, "DeleteAccount again", s.DeleteAccount(ctx, "alice"), auth.ErrAccountUnknown)
	_, err = s.Account(ctx, "alice")
	want(t, "Account after DeleteAccount", err, auth.ErrAccountUnknown)
}

func testAccountsWithPolicies(t *testing.T, s auth.Store) {
	ctx := t.Context()
	want(t, "PutPolicy", s.PutPolicy(ctx, auth.StoredPolicy{Name: "own", Document: "{}"}), nil)
	err := s.CreateAccount(ctx, alice, "own", "nobody-wrote-it")
	want(t, "CreateAccount with an unknown policy", err, auth.ErrPolicyUnknown)
	_, err = s.Account(ctx, "alice")
	want(t, "Account of which a part could not be made", err, auth.ErrAccountUnknown)
	attached, err := s.Attachments(ctx, "alice")
	want(t, "Attachments", err, nil)
	same(t, len(attached), 0)
	want(t, "CreateAccount", s.CreateAccount(ctx, alice, "own", auth.ReadOnly, "own"), nil)
	attached, err = s.Attachments(ctx, "alice")
	want(t, "Attachments", err, nil)
	same(t, attached, []string{auth.ReadOnly, "own"})
}

func testAccountPages(t *testing.T, s auth.Store) {
	ctx := t.Context()
	for _, name := range []string{"b", "a1", "a-1", "a_1", "c"} {
		want(t, "CreateAccount", s.CreateAccount(ctx, auth.Account{Name: name, Kind: auth.User, CreatedAt: created}), nil)
	}
	var got []string
	after := ""
	for {
		page, err := s.Accounts(ctx, "", after, 2)
		want(t, "Accounts", err, nil)
		for _, a := range page {
			got = append(got, a.Name)
		}
		if len(page) < 2 {
			break
		}
		after = page[1].Name
	}
	same(t, got, []string{"a-1", "a1", "a_1", "b", "c"})
	want(t, "CreateAccount", s.CreateAccount(ctx, auth.Account{Name: "a0", Kind: auth.Robot, CreatedAt: created}), nil)
	robots, err := s.Accounts(ctx, auth.Robot, "", 2)
	want(t, "Accounts", err, nil)
	if len(robots) != 1 || robots[0].Name != "a0" {
		t.Errorf("the robots are %v", robots)
	}
}

func testUpdates(t *testing.T, s auth.Store) {
	ctx := t.Context()
	err := s.UpdateAccount(ctx, "alice", func(*auth.Account) error { return nil })
	want(t, "UpdateAccount of nobody", err, auth.ErrAccountUnknown)
	want(t, "CreateAccount", s.CreateAccount(ctx, alice), nil)

	no := errors.New("no")
	err = s.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.Disabled = true; return no })
	want(t, "UpdateAccount that fails", err, no)
	got, err := s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	same(t, got, alice)

	err = s.UpdateAccount(ctx, "alice", func(a *auth.Account) error {
		if !cmp.Equal(*a, alice) {
			t.Errorf("change got %+v", *a)
		}
		*a = auth.Account{Name: "mallory", Kind: auth.Robot, PasswordHash: "x", Disabled: true, ExpiresAt: created, CreatedAt: created.Add(1)}
		return nil
	})
	want(t, "UpdateAccount", err, nil)
	got, err = s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	same(t, got, auth.Account{Name: "alice", Kind: auth.User, PasswordHash: "x", Disabled: true, ExpiresAt: created, CreatedAt: created})

	err = s.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.ExpiresAt = time.Time{}; return nil })
	want(t, "UpdateAccount to no expiry", err, nil)
	got, err = s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	if !got.ExpiresAt.IsZero() {
		t.Errorf("no expiry came back as %v", got.ExpiresAt)
	}
}

func testTags(t *testing.T, s auth.Store) {
	ctx := t.Context()
	tagged := alice
	tagged.Tags = map[string]string{"team": "blue", "Größe \"x\"": ""}
	want(t, "CreateAccount", s.CreateAccount(ctx, tagged), nil)
	got, err := s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	same(t, got, tagged)
	page, err := s.Accounts(ctx, "", "", 10)
	want(t, "Accounts", err, nil)
	same(t, page, []auth.Account{tagged})

	want(t, "UpdateAccount", s.UpdateAccount(ctx, "alice", func(a *auth.Account) error {
		a.Tags = map[string]string{"team": "red"}
		return nil
	}), nil)
	got, err = s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	same(t, got.Tags, map[string]string{"team": "red"})

	want(t, "UpdateAccount to no tags", s.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.Tags = nil; return nil }), nil)
	got, err = s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	same(t, got, alice)
}

func testPolicies(t *testing.T, s auth.Store) {
	ctx := t.Context()
	_, err := s.Policy(ctx, "p")
	want(t, "Policy that is not there", err, auth.ErrPolicyUnknown)
	want(t, "DeletePolicy that is not there", s.DeletePolicy(ctx, "p"), auth.ErrPolicyUnknown)
	want(t, "PutPolicy", s.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: "old"}), nil)
	want(t, "PutPolicy", s.PutPolicy(ctx, auth.StoredPolicy{Name: "Q", Document: document}), nil)
	want(t, "PutPolicy again", s.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: document}), nil)
	got, err := s.Policy(ctx, "p")
	want(t, "Policy", err, nil)
	same(t, got, auth.StoredPolicy{Name: "p", Document: document})

	page, err := s.Policies(ctx, "", 1)
	want(t, "Policies", err, nil)
	same(t, page, []auth.StoredPolicy{{Name: "Q", Document: document}})
	page, err = s.Policies(ctx, "Q", 5)
	want(t, "Policies", err, nil)
	same(t, page, []auth.StoredPolicy{{Name: "p", Document: document}})
	want(t, "DeletePolicy", s.DeletePolicy(ctx, "p"), nil)
	_, err = s.Policy(ctx, "p")
	want(t, "Policy after DeletePolicy", err, auth.ErrPolicyUnknown)
}

func testAttachments(t *testing.T, s auth.Store) {
	ctx := t.Context()
	want(t, "CreateAccount", s.CreateAccount(ctx, alice), nil)
	want(t, "PutPolicy", s.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: document}), nil)

	want(t, "Attach to nobody", s.Attach(ctx, "bob", "p"), auth.ErrAccountUnknown)
	want(t, "Attach nothing", s.Attach(ctx, "alice", "q"), auth.ErrPolicyUnknown)
	want(t, "Attach", s.Attach(ctx, "alice", "p"), nil)
	want(t, "Attach again", s.Attach(ctx, "alice", "p"), nil)
	want(t, "Attach managed", s.Attach(ctx, "alice", auth.PowerUser), nil)
	attached := func(expected ...string) {
		t.Helper()
		got, err := s.Attachments(ctx, "alice")
		want(t, "Attachments", err, nil)
		if len(got) != 0 || len(expected) != 0 {
			same(t, got, expected)
		}
	}
	attached(auth.PowerUser, "p")
	want(t, "DeletePolicy that is attached", s.DeletePolicy(ctx, "p"), auth.ErrPolicyAttached)

	want(t, "Detach from nobody", s.Detach(ctx, "bob", "p"), auth.ErrAccountUnknown)
	want(t, "Detach", s.Detach(ctx, "alice", "p"), nil)
	want(t, "Detach again", s.Detach(ctx, "alice", "p"), auth.ErrNotAttached)
	attached(auth.PowerUser)
	want(t, "DeletePolicy", s.DeletePolicy(ctx, "p"), nil)

	want(t, "DeleteAccount", s.DeleteAccount(ctx, "alice"), nil)
	want(t, "CreateAccount", s.CreateAccount(ctx, alice), nil)
	attached() // the new account has nothing of the old
	_, err := s.Attachments(ctx, "bob")
	want(t, "Attachments of nobody", err, nil)
}

func testGeneration(t *testing.T, s auth.Store) {
	ctx := t.Context()
	last, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"CreateAccount", func() error { return s.CreateAccount(ctx, alice) }},
		{"UpdateAccount", func() error {
			return s.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.Disabled = true; return nil })
		}},
		{"PutPolicy", func() error { return s.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: "1"}) }},
		{"PutPolicy again", func() error { return s.PutPolicy(ctx, auth.StoredPolicy{Name: "p", Document: "2"}) }},
		{"Attach", func() error { return s.Attach(ctx, "alice", "p") }},
		{"Detach", func() error { return s.Detach(ctx, "alice", "p") }},
		{"DeletePolicy", func() error { return s.DeletePolicy(ctx, "p") }},
		{"DeleteAccount", func() error { return s.DeleteAccount(ctx, "alice") }},
	} {
		want(t, change.name, change.do(), nil)
		now, err := s.Generation(ctx)
		want(t, "Generation", err, nil)
		if now <= last {
			t.Errorf("the generation went from %d to %d on %s", last, now, change.name)
		}
		last = now
	}
}

// testConcurrency changes one account from many sides; no change may be lost.
func testConcurrency(t *testing.T, s auth.Store) {
	ctx := context.WithoutCancel(t.Context())
	want(t, "CreateAccount", s.CreateAccount(ctx, alice), nil)
	before, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			err := s.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.PasswordHash += "."; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Account(ctx, "alice")
	want(t, "Account", err, nil)
	if more := len(got.PasswordHash) - len(alice.PasswordHash); more != writers {
		t.Errorf("%d of %d changes are there", more, writers)
	}
	after, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	if after < before+1 {
		t.Errorf("the generation went from %d to %d", before, after)
	}
}
