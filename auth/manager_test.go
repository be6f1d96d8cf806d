package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"berth/auth"
)

func TestManager(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	m := w.manager
	past := w.clock.Now().Add(-time.Minute)
	robot := func(name string, expires time.Time) error {
		_, _, err := m.CreateRobot(ctx, name, expires)
		return err
	}
	user := func(name, password string) error {
		_, err := m.CreateUser(ctx, name, password)
		return err
	}
	for _, step := range []struct {
		name string
		err  error
		want error
		says string
	}{
		{"user", user("alice", password), nil, ""},
		{"user again", user("alice", password), auth.ErrAccountExists, "alice: "},
		{"upper case", user("Alice", password), auth.ErrAccountNameInvalid, "lower-case"},
		{"colon", user("a:b", password), auth.ErrAccountNameInvalid, "a:b"},
		{"dot at the end", user("a.", password), auth.ErrAccountNameInvalid, ""},
		{"empty name", user("", password), auth.ErrAccountNameInvalid, "1 to 64"},
		{"long name", user(strings.Repeat("a", 65), password), auth.ErrAccountNameInvalid, "65"},
		{"short password", user("bob", "1234567"), auth.ErrPasswordInvalid, "8 to"},
		{"easy password", user("bob", "password"), auth.ErrPasswordInvalid, "easy"},
		{"own name", user("bobbobbob", "bobbobbob"), auth.ErrPasswordInvalid, "easy"},
		{"robot", robot("deploy", time.Time{}), nil, ""},
		{"robot with a user's name", robot("alice", time.Time{}), auth.ErrAccountExists, ""},
		{"robot of the past", robot("late", past), auth.ErrAccountInvalid, "past"},
		{"password of a robot", m.SetPassword(ctx, "deploy", password), auth.ErrAccountInvalid, "generated secret"},
		{"password of nobody", m.SetPassword(ctx, "nobody", password), auth.ErrAccountUnknown, "nobody: "},
		{"secret of a user", second(m.ResetSecret(ctx, "alice")), auth.ErrAccountInvalid, "password"},
		{"expiry of a user", m.SetExpiry(ctx, "alice", w.clock.Now().Add(time.Hour)), auth.ErrAccountInvalid, "only robots"},
		{"expiry of a robot", m.SetExpiry(ctx, "deploy", w.clock.Now().Add(time.Hour)), nil, ""},
		{"no expiry of a robot", m.SetExpiry(ctx, "deploy", time.Time{}), nil, ""},
		{"policy", m.PutPolicy(ctx, "mine", document(allowAll)), nil, ""},
		{"policy changed", m.PutPolicy(ctx, "mine", document(allowAll)), nil, ""},
		{"bad policy", m.PutPolicy(ctx, "mine", "{}"), auth.ErrPolicyInvalid, "mine: "},
		{"bad policy name", m.PutPolicy(ctx, "mi ne", document(allowAll)), auth.ErrPolicyNameInvalid, ""},
		{"managed policy", m.PutPolicy(ctx, auth.ReadOnly, document(allowAll)), auth.ErrPolicyManaged, ""},
		{"attach", m.Attach(ctx, "alice", "mine"), nil, ""},
		{"attach managed", m.Attach(ctx, "alice", auth.ReadOnly), nil, ""},
		{"attach to nobody", m.Attach(ctx, "nobody", "mine"), auth.ErrAccountUnknown, "mine to nobody"},
		{"attach nothing", m.Attach(ctx, "alice", "yours"), auth.ErrPolicyUnknown, "yours to alice"},
		{"delete attached", m.DeletePolicy(ctx, "mine"), auth.ErrPolicyAttached, "detach"},
		{"detach", m.Detach(ctx, "alice", "mine"), nil, ""},
		{"detach again", m.Detach(ctx, "alice", "mine"), auth.ErrNotAttached, "mine from alice"},
		{"document", second(m.PolicyDocument(ctx, "mine")), nil, ""},
		{"managed document", second(m.PolicyDocument(ctx, auth.PowerUser)), nil, ""},
		{"delete policy", m.DeletePolicy(ctx, "mine"), nil, ""},
		{"delete it again", m.DeletePolicy(ctx, "mine"), auth.ErrPolicyUnknown, ""},
		{"delete managed", m.DeletePolicy(ctx, auth.ReadOnly), auth.ErrPolicyManaged, ""},
		{"document of nothing", second(m.PolicyDocument(ctx, "mine")), auth.ErrPolicyUnknown, ""},
		{"delete account", m.DeleteAccount(ctx, "alice"), nil, ""},
		{"delete it again", m.DeleteAccount(ctx, "alice"), auth.ErrAccountUnknown, ""},
		{"disable nobody", m.SetDisabled(ctx, "alice", true), auth.ErrAccountUnknown, ""},
	} {
		if !errors.Is(step.err, step.want) || step.err != nil && !strings.Contains(step.err.Error(), step.says) {
			t.Errorf("%s: got %v, want %v that says %q", step.name, step.err, step.want, step.says)
		}
	}
}

func second(_ string, err error) error { return err }

func TestSecretsAreNotKept(t *testing.T) {
	w := newWorld(t)
	a, secret, err := w.manager.CreateRobot(t.Context(), "deploy", time.Time{})
	must(t, err)
	kept, err := w.store.Account(context.Background(), "deploy")
	must(t, err)
	if strings.Contains(kept.PasswordHash, secret) || !strings.HasPrefix(secret, "berth_") || len(secret) != len("berth_")+43 {
		t.Errorf("secret %q, kept %q", secret, kept.PasswordHash)
	}
	if strings.Contains(a.PasswordHash, a.Fingerprint()) {
		t.Error("the fingerprint is part of the hash")
	}
}
