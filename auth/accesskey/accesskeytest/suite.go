package accesskeytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"berth/auth"
	"berth/auth/accesskey"
)

// Stores keeps accounts and their keys.
type Stores interface {
	auth.Store
	accesskey.Store
}

// RunStore checks that a store does what accesskey.Store says. open returns an empty
// store for each test and closes it when the test ends.
func RunStore(t *testing.T, open func(t *testing.T) Stores) {
	for name, test := range map[string]func(*testing.T, Stores){
		"keys":              testKeys,
		"pages":             testPages,
		"limit":             testLimit,
		"roles":             testRoles,
		"changes":           testChanges,
		"use":               testUse,
		"deleted accounts":  testDeletedAccounts,
		"generation":        testGeneration,
		"concurrent limits": testConcurrentLimits,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			for _, account := range []string{"alice", "bob"} {
				want(t, "CreateAccount", s.CreateAccount(t.Context(), auth.Account{Name: account, Kind: auth.User, CreatedAt: created}), nil)
			}
			test(t, s)
		})
	}
}

var created = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// key is a key as a Manager makes it.
func key(id, account string) accesskey.Key {
	return accesskey.Key{ID: id, Account: account, Sealed: []byte{0, 1, 0xff, id[0]}, CreatedAt: created}
}

// want fails the test unless err is expected, which may be nil.
func want(t *testing.T, what string, err, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("%s: got error %v, want %v", what, err, expected)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func testRoles(t *testing.T, s Stores) {
	ctx := t.Context()
	want(t, "CreateAccount", s.CreateAccount(ctx, auth.Account{Name: "build", Kind: auth.Role, CreatedAt: created}), nil)
	want(t, "CreateAccessKey of a role", s.CreateAccessKey(ctx, key("a", "build"), 2), auth.ErrAccountInvalid)
	keys, err := s.AccessKeys(ctx, "build")
	want(t, "AccessKeys", err, nil)
	same(t, "the keys of a role", len(keys), 0)
}

func testKeys(t *testing.T, s Stores) {
	ctx := t.Context()
	_, err := s.AccessKey(ctx, "a")
	want(t, "AccessKey of nobody", err, accesskey.ErrUnknown)
	keys, err := s.AccessKeys(ctx, "alice")
	want(t, "AccessKeys of one who has none", err, nil)
	same(t, "AccessKeys of one who has none", keys, []accesskey.Key{})
	_, err = s.AccessKeys(ctx, "nobody")
	want(t, "AccessKeys of nobody", err, nil)

	a, b, c := key("a", "alice"), key("b", "bob"), key("c", "alice")
	c.Disabled, c.LastUsedAt = true, created.Add(time.Hour)
	for _, k := range []accesskey.Key{c, b, a} {
		want(t, "CreateAccessKey", s.CreateAccessKey(ctx, k, 2), nil)
	}
	for _, k := range []accesskey.Key{a, b, c} {
		got, err := s.AccessKey(ctx, k.ID)
		want(t, "AccessKey", err, nil)
		same(t, "AccessKey", got, k)
	}
	keys, err = s.AccessKeys(ctx, "alice")
	want(t, "AccessKeys", err, nil)
	same(t, "AccessKeys", keys, []accesskey.Key{a, c})

	want(t, "CreateAccessKey of nobody", s.CreateAccessKey(ctx, key("d", "nobody"), 2), auth.ErrAccountUnknown)
	want(t, "CreateAccessKey again", s.CreateAccessKey(ctx, key("a", "bob"), 2), accesskey.ErrExists)
	got, err := s.AccessKey(ctx, "a")
	want(t, "AccessKey", err, nil)
	same(t, "AccessKey that was there before", got, a)

	want(t, "DeleteAccessKey", s.DeleteAccessKey(ctx, "a"), nil)
	want(t, "DeleteAccessKey again", s.DeleteAccessKey(ctx, "a"), accesskey.ErrUnknown)
	_, err = s.AccessKey(ctx, "a")
	want(t, "AccessKey after DeleteAccessKey", err, accesskey.ErrUnknown)
}

func testPages(t *testing.T, s Stores) {
	ctx := t.Context()
	for _, id := range []string{"AKIAB", "AKIA2", "AKIAC", "AKIAA"} {
		want(t, "CreateAccessKey", s.CreateAccessKey(ctx, key(id, "alice"), 9), nil)
	}
	var ids []string
	for after := ""; ; {
		page, err := s.AllAccessKeys(ctx, after, 2)
		want(t, "AllAccessKeys", err, nil)
		for _, k := range page {
			ids, after = append(ids, k.ID), k.ID
			same(t, "a key of a page", k, key(k.ID, "alice"))
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, "all pages", ids, []string{"AKIA2", "AKIAA", "AKIAB", "AKIAC"})
}

func testLimit(t *testing.T, s Stores) {
	ctx := t.Context()
	want(t, "the first", s.CreateAccessKey(ctx, key("a", "alice"), 2), nil)
	want(t, "the second", s.CreateAccessKey(ctx, key("b", "alice"), 2), nil)
	want(t, "the third", s.CreateAccessKey(ctx, key("c", "alice"), 2), accesskey.ErrLimit)
	_, err := s.AccessKey(ctx, "c")
	want(t, "AccessKey of the third", err, accesskey.ErrUnknown)
	want(t, "another's first", s.CreateAccessKey(ctx, key("d", "bob"), 2), nil)
	want(t, "SetAccessKeyDisabled", s.SetAccessKeyDisabled(ctx, "a", true), nil)
	want(t, "the third beside a disabled one", s.CreateAccessKey(ctx, key("c", "alice"), 2), accesskey.ErrLimit)
	want(t, "DeleteAccessKey", s.DeleteAccessKey(ctx, "a"), nil)
	want(t, "one in its place", s.CreateAccessKey(ctx, key("c", "alice"), 2), nil)
}

func testChanges(t *testing.T, s Stores) {
	ctx := t.Context()
	want(t, "SetAccessKeyDisabled of nobody", s.SetAccessKeyDisabled(ctx, "a", true), accesskey.ErrUnknown)
	want(t, "ResealAccessKey of nobody", s.ResealAccessKey(ctx, "a", []byte{1}), accesskey.ErrUnknown)
	k, other := key("a", "alice"), key("b", "alice")
	want(t, "CreateAccessKey", s.CreateAccessKey(ctx, k, 2), nil)
	want(t, "CreateAccessKey", s.CreateAccessKey(ctx, other, 2), nil)
	check := func(what string) {
		t.Helper()
		keys, err := s.AccessKeys(ctx, "alice")
		want(t, "AccessKeys", err, nil)
		same(t, what, keys, []accesskey.Key{k, other})
	}
	for _, disabled := range []bool{true, true, false} {
		want(t, "SetAccessKeyDisabled", s.SetAccessKeyDisabled(ctx, "a", disabled), nil)
		k.Disabled = disabled
		check("disabled")
	}
	want(t, "ResealAccessKey", s.ResealAccessKey(ctx, "a", []byte{7, 0}), nil)
	k.Sealed = []byte{7, 0}
	check("resealed")
}

func testUse(t *testing.T, s Stores) {
	ctx := t.Context()
	want(t, "UseAccessKey of nobody", s.UseAccessKey(ctx, "a", created, time.Minute), nil)
	want(t, "CreateAccessKey", s.CreateAccessKey(ctx, key("a", "alice"), 2), nil)
	want(t, "CreateAccessKey", s.CreateAccessKey(ctx, key("b", "alice"), 2), nil)
	generation, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	for _, use := range []struct {
		at    time.Duration
		noted time.Duration
	}{
		{time.Hour, time.Hour},
		{time.Hour + 59*time.Second, time.Hour}, // too early
		{0, time.Hour},                          // late news
		{time.Hour + time.Minute, time.Hour + time.Minute},
	} {
		want(t, "UseAccessKey", s.UseAccessKey(ctx, "a", created.Add(use.at), time.Minute), nil)
		k, err := s.AccessKey(ctx, "a")
		want(t, "AccessKey", err, nil)
		if !k.LastUsedAt.Equal(created.Add(use.noted)) {
			t.Errorf("used after %s, the last use is noted as %s", use.at, k.LastUsedAt)
		}
	}
	k, err := s.AccessKey(ctx, "b")
	want(t, "AccessKey", err, nil)
	same(t, "the other key", k, key("b", "alice"))
	after, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	if after != generation {
		t.Error("the use of a key makes everybody forget what is remembered of accounts")
	}
}

func testDeletedAccounts(t *testing.T, s Stores) {
	ctx := t.Context()
	for i, account := range []string{"alice", "alice", "bob"} {
		want(t, "CreateAccessKey", s.CreateAccessKey(ctx, key(fmt.Sprint(i), account), 2), nil)
	}
	want(t, "DeleteAccount", s.DeleteAccount(ctx, "alice"), nil)
	all, err := s.AllAccessKeys(ctx, "", 10)
	want(t, "AllAccessKeys", err, nil)
	same(t, "the keys that are left", all, []accesskey.Key{key("2", "bob")})
	want(t, "CreateAccount", s.CreateAccount(ctx, auth.Account{Name: "alice", Kind: auth.User, CreatedAt: created}), nil)
	keys, err := s.AccessKeys(ctx, "alice")
	want(t, "AccessKeys", err, nil)
	same(t, "the keys of the new account", keys, []accesskey.Key{})
}

func testGeneration(t *testing.T, s Stores) {
	ctx := t.Context()
	last, err := s.Generation(ctx)
	want(t, "Generation", err, nil)
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"CreateAccessKey", func() error { return s.CreateAccessKey(ctx, key("a", "alice"), 2) }},
		{"SetAccessKeyDisabled", func() error { return s.SetAccessKeyDisabled(ctx, "a", true) }},
		{"ResealAccessKey", func() error { return s.ResealAccessKey(ctx, "a", []byte{1}) }},
		{"DeleteAccessKey", func() error { return s.DeleteAccessKey(ctx, "a") }},
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

// testConcurrentLimits has many give one account a key at the same moment.
func testConcurrentLimits(t *testing.T, s Stores) {
	ctx := context.WithoutCancel(t.Context())
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch err := s.CreateAccessKey(ctx, key(fmt.Sprint(i), "alice"), 2); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, accesskey.ErrLimit):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := s.AccessKeys(ctx, "alice")
	want(t, "AccessKeys", err, nil)
	if len(keys) != 2 || made.Load() != 2 {
		t.Errorf("%d keys were made and %d are there", made.Load(), len(keys))
	}
}
