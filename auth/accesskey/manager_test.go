package accesskey_test

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/sigv4"
)

func TestCreate(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	k, secret, err := w.manager.Create(ctx, "alice")
	must(t, err)
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(k.ID) || !regexp.MustCompile(`^[A-Z2-7]{40}$`).MatchString(secret) {
		t.Errorf("the key is %s with the secret %s", k.ID, secret)
	}
	stored, err := w.store.AccessKey(ctx, k.ID)
	must(t, err)
	if diff := cmp.Diff(k, stored); diff != "" {
		t.Errorf("what is kept differs (-made +kept):\n%s", diff)
	}
	if bytes.Contains(stored.Sealed, []byte(secret)) {
		t.Error("the secret is kept as it is")
	}
	other, otherSecret, err := w.manager.Create(ctx, "alice")
	must(t, err)
	if other.ID == k.ID || otherSecret == secret {
		t.Error("two keys are the same")
	}
	_, _, err = w.manager.Create(ctx, "alice")
	wantError(t, "the third", err, accesskey.ErrLimit)
	_, _, err = w.manager.Create(ctx, "nobody")
	wantError(t, "a key of nobody", err, auth.ErrAccountUnknown)
}

func TestRotate(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	_, _, _, err := w.manager.Rotate(ctx, "alice")
	wantError(t, "nothing to rotate", err, accesskey.ErrUnknown)
	first := w.create(t)
	w.clock.Advance(time.Hour)
	second, secret, old, err := w.manager.Rotate(ctx, "alice")
	must(t, err)
	if old.ID != first.AccessKeyID || second.ID == old.ID || secret == "" {
		t.Errorf("%s takes the place of %s, which should be %s", second.ID, old.ID, first.AccessKeyID)
	}
	keys, err := w.manager.List(ctx, "alice")
	must(t, err)
	if len(keys) != 2 || keys[0].ID != old.ID || keys[1].ID != second.ID {
		t.Errorf("the keys are %+v, not the old and the new", keys)
	}
	_, _, _, err = w.manager.Rotate(ctx, "alice")
	wantError(t, "a third", err, accesskey.ErrLimit)
	must(t, w.manager.Delete(ctx, old.ID))
	_, _, old, err = w.manager.Rotate(ctx, "alice")
	must(t, err)
	if old.ID != second.ID {
		t.Errorf("the old key is %s, not %s", old.ID, second.ID)
	}
}

func TestChanges(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	id := w.create(t).AccessKeyID
	must(t, w.manager.SetDisabled(ctx, id, true))
	must(t, w.manager.SetDisabled(ctx, id, false))
	must(t, w.manager.Delete(ctx, id))
	wantError(t, "Delete again", w.manager.Delete(ctx, id), accesskey.ErrUnknown)
	wantError(t, "SetDisabled of what is gone", w.manager.SetDisabled(ctx, id, true), accesskey.ErrUnknown)
	_, _, err := w.manager.Create(ctx, "nobody")
	wantError(t, "Create", err, auth.ErrAccountUnknown)
	var want []accesskey.Change
	for _, action := range []string{"CreateAccessKey", "DisableAccessKey", "EnableAccessKey", "DeleteAccessKey"} {
		want = append(want, accesskey.Change{Action: action, Account: "alice", Key: id})
	}
	if diff := cmp.Diff(want, w.changes); diff != "" {
		t.Errorf("what the audit log hears (-want +got):\n%s", diff)
	}
}

// TestReseal changes the configured secret as an operator does.
func TestReseal(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	c := w.create(t)
	before, err := w.store.AccessKey(ctx, c.AccessKeyID)
	must(t, err)

	both := newSealer(t, configured('b'), configured('a'))
	w.manager.Sealer = both
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, both, w.clock.Now)
	w.wantOwner(t, "with both", c, "alice")
	for _, want := range []int{1, 0} {
		if n, err := w.manager.Reseal(ctx); err != nil || n != want {
			t.Errorf("%d keys were resealed, %v; want %d", n, err, want)
		}
	}
	after, err := w.store.AccessKey(ctx, c.AccessKeyID)
	must(t, err)
	if bytes.Equal(before.Sealed, after.Sealed) {
		t.Error("nothing has changed")
	}
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, newSealer(t, configured('b')), w.clock.Now)
	w.wantOwner(t, "with the new secret alone", c, "alice")

	// What cannot be opened is told, and keeps nothing else from being resealed.
	w.manager.Sealer = newSealer(t, configured('c'))
	lost := w.create(t)
	w.manager.Sealer = newSealer(t, configured('d'), configured('b'))
	n, err := w.manager.Reseal(ctx)
	wantError(t, "Reseal", err, accesskey.ErrSecretUnknown)
	if n != 1 {
		t.Errorf("%d keys were resealed, want 1 beside %s", n, lost.AccessKeyID)
	}
}

// TestMovedSecret: who can write to the database, but has not the configured secret,
// cannot make one key out of another.
func TestMovedSecret(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	c := w.create(t)
	k, err := w.store.AccessKey(ctx, c.AccessKeyID)
	must(t, err)
	for _, moved := range []accesskey.Key{
		{ID: k.ID, Account: "bob", Sealed: k.Sealed},
		{ID: alter(k.ID, 19), Account: "alice", Sealed: k.Sealed},
		{ID: k.ID, Account: "alice", Sealed: k.Sealed[:len(k.Sealed)-1]},
		{ID: k.ID, Account: "alice", Sealed: k.Sealed[:8]},
		{ID: k.ID, Account: "alice", Sealed: nil},
	} {
		must(t, w.store.DeleteAccessKey(ctx, k.ID))
		must(t, w.store.CreateAccessKey(ctx, moved, 9))
		_, err := w.verify(t, aws.Credentials{AccessKeyID: moved.ID, SecretAccessKey: c.SecretAccessKey})
		wantError(t, moved.ID+" of "+moved.Account, err, accesskey.ErrDamaged)
		if refused, ok := errors.AsType[*sigv4.Error](err); ok {
			t.Errorf("a damaged row is told to the client as %v", refused)
		}
		k.ID = moved.ID
	}
}
