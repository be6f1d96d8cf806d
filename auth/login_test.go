package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/auth"
	"berth/registry"
)

const password = "correct horse"

func TestLogin(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	login := auth.NewLogin(w.access)
	alice, err := w.manager.CreateUser(ctx, "alice", password)
	must(t, err)
	robot, secret, err := w.manager.CreateRobot(ctx, "deploy", time.Time{})
	must(t, err)

	for _, test := range []struct {
		name, password string
		want           auth.Principal
	}{
		{"alice", password, auth.Principal{Name: "alice", Kind: auth.User, Credential: alice.Fingerprint()}},
		{"alice", password, auth.Principal{Name: "alice", Kind: auth.User, Credential: alice.Fingerprint()}},
		{"deploy", secret, auth.Principal{Name: "deploy", Kind: auth.Robot, Credential: robot.Fingerprint()}},
		{"alice", "wrong horse", auth.Nobody},
		{"alice", "", auth.Nobody},
		{"Alice", password, auth.Nobody},
		{"alice", secret, auth.Nobody},
		{"deploy", password, auth.Nobody},
		{"deploy", robot.PasswordHash, auth.Nobody},
		{"nobody", password, auth.Nobody},
		{"", "", auth.Nobody},
		{"alice", strings.Repeat("x", 1000), auth.Nobody},
	} {
		p, err := login.Check(ctx, test.name, test.password, "192.0.2.1")
		if p.Name != test.want.Name || p.Kind != test.want.Kind || p.Credential != test.want.Credential {
			t.Errorf("%s: %+v, %v", test.name, p, err)
		}
		if test.want.IsAnonymous() && (!errors.Is(err, registry.ErrUnauthorized) || !strings.Contains(err.Error(), "the user name or the password is wrong")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}

	must(t, w.manager.SetDisabled(ctx, "alice", true))
	if _, err := login.Check(ctx, "alice", password, ""); !errors.Is(err, registry.ErrUnauthorized) || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("disabled: %v", err)
	}
	must(t, w.manager.SetDisabled(ctx, "alice", false))
	must(t, w.manager.SetPassword(ctx, "alice", "another horse"))
	if _, err := login.Check(ctx, "alice", password, ""); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("old password: %v", err)
	}
	if _, err := login.Check(ctx, "alice", "another horse", ""); err != nil {
		t.Errorf("new password: %v", err)
	}
	again, err := w.manager.ResetSecret(ctx, "deploy")
	must(t, err)
	if _, err := login.Check(ctx, "deploy", secret, ""); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("old secret: %v", err)
	}
	if _, err := login.Check(ctx, "deploy", again, ""); err != nil {
		t.Errorf("new secret: %v", err)
	}
}

func TestLoginRemembers(t *testing.T) {
	w := newWorld(t)
	login := auth.NewLogin(w.access)
	_, err := w.manager.CreateUser(t.Context(), "alice", password)
	must(t, err)
	check := func() time.Duration {
		start := time.Now()
		_, err := login.Check(t.Context(), "alice", password, "192.0.2.1")
		must(t, err)
		return time.Since(start)
	}
	first, second := check(), check()
	if second > first/4 {
		t.Errorf("the first login took %s, the second %s", first, second)
	}
	w.clock.Advance(11 * time.Minute)
	if third := check(); third < first/4 {
		t.Errorf("the first login took %s, the one after its memory ended %s", first, third)
	}
}

func TestLoginOfNobodyTakesAsLong(t *testing.T) {
	w := newWorld(t)
	login := auth.NewLogin(w.access)
	_, err := w.manager.CreateUser(t.Context(), "alice", password)
	must(t, err)
	_, _, err = w.manager.CreateRobot(t.Context(), "deploy", time.Time{})
	must(t, err)
	took := func(name string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			if _, err := login.Check(t.Context(), name, "wrong horse", name); err == nil {
				t.Fatal("passed")
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	known, robot, nobody := took("alice"), took("deploy"), took("nobody")
	if robot < known/3 || nobody < known/3 {
		t.Errorf("a user takes %s, a robot %s, nobody %s", known, robot, nobody)
	}
}

// TestLoginsTogether has many clients of one account log in at the same moment, as after
// a start of the server. The password is right, so nobody is told of failed logins.
func TestLoginsTogether(t *testing.T) {
	w := newWorld(t)
	login := auth.NewLogin(w.access)
	_, err := w.manager.CreateUser(t.Context(), "alice", password)
	must(t, err)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := login.Check(t.Context(), "alice", password, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestLoginStorm(t *testing.T) {
	w := newWorld(t)
	login := auth.NewLogin(w.access)
	_, err := w.manager.CreateUser(t.Context(), "alice", password)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := login.Check(ctx, "alice", password, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := login.Check(ended, "alice", "wrong horse", "192.0.2.1"); err == nil {
		t.Error("passed")
	}
}

func TestAuthenticator(t *testing.T) {
	w := newWorld(t)
	_, err := w.manager.CreateUser(t.Context(), "alice", "a:b:c d e")
	must(t, err)
	a := &auth.Authenticator{Login: auth.NewLogin(w.access), Tokens: tokens{"good": {Name: "bob", Kind: auth.User, Limited: true}}}
	for _, test := range []struct {
		name    string
		headers []string
		want    string
		reason  auth.Reason
	}{
		{"none", nil, "anonymous", ""},
		{"basic", []string{basic("alice", "a:b:c d e")}, "user alice", ""},
		{"basic in lower case", []string{strings.Replace(basic("alice", "a:b:c d e"), "Basic", "basic", 1)}, "user alice", ""},
		{"wrong password", []string{basic("alice", "x")}, "refused", ""},
		{"broken basic", []string{"Basic %%%"}, "refused", ""},
		{"empty basic", []string{"Basic Og=="}, "refused", ""},
		{"bearer", []string{"Bearer good"}, "user bob", ""},
		{"bearer in capitals", []string{"BEARER good"}, "user bob", ""},
		{"bad bearer", []string{"Bearer bad"}, "refused", auth.InvalidToken},
		{"no bearer", []string{"Bearer"}, "refused", auth.InvalidToken},
		{"other scheme", []string{"AWS4-HMAC-SHA256 Credential=x"}, "refused", ""},
		{"empty", []string{""}, "anonymous", ""},
		{"two", []string{"Bearer good", basic("alice", "x")}, "refused", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		r.Header["Authorization"] = test.headers
		if test.headers == nil {
			r.Header.Del("Authorization")
		}
		p, err := a.Principal(r)
		got := p.String()
		if refused, ok := errors.AsType[*auth.RefusedError](err); ok {
			got = "refused"
			if refused.Reason != test.reason || !errors.Is(err, registry.ErrUnauthorized) || !p.IsAnonymous() {
				t.Errorf("%s: %v, reason %q", test.name, err, refused.Reason)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s (%v), want %s", test.name, got, err, test.want)
		}
	}
}

// tokens is a Verifier of a fixed list.
type tokens map[string]auth.Principal

func (t tokens) Verify(_ context.Context, text string) (auth.Principal, error) {
	if p, ok := t[text]; ok {
		return p, nil
	}
	return auth.Nobody, auth.Unauthenticated(auth.InvalidToken, "no such token")
}

func basic(name, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

func TestChallenge(t *testing.T) {
	w := newWorld(t)
	c := auth.Challenge{Realm: "https://registry.example/token", Service: `ber"th`}
	const start = `Bearer realm="https://registry.example/token",service="ber\"th"`
	guard := auth.Guard(&fakeRegistry{}, w.access)
	p := w.user(t, "ci", auth.PowerUser)
	refusal := func(p auth.Principal) error {
		_, err := guard.MountBlob(auth.WithPrincipal(t.Context(), p), "a", "b", blob)
		return err
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, start},
		{errors.New("x"), start},
		{refusal(auth.Nobody), start + `,scope="repository:a:pull,push repository:b:pull"`},
		{refusal(limited(t, p, "")), start + `,scope="repository:a:pull,push repository:b:pull",error="insufficient_scope"`},
		{auth.Unauthenticated(auth.InvalidToken, "x"), start + `,error="invalid_token"`},
	} {
		if got := c.Header(test.err); got != test.want {
			t.Errorf("%v: %s", test.err, got)
		}
	}
	if got := (auth.Challenge{Service: "berth"}).Header(nil); got != `Basic realm="berth"` {
		t.Errorf("without tokens: %s", got)
	}
}
