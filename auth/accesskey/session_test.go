package accesskey_test

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/sigv4"
)

func TestIssue(t *testing.T) {
	w := newWorld(t)
	session := w.session(t)
	role := session
	role.Role, role.Name = "build", "run-17"
	role.Tags = map[string]string{"team": "payments", "": "ä"}
	for _, s := range []accesskey.Session{session, role} {
		c, err := w.issuer.Issue(s, time.Hour)
		must(t, err)
		if !regexp.MustCompile(`^ASIA[A-Z2-7]{16}$`).MatchString(c.KeyID) || !regexp.MustCompile(`^[A-Z2-7]{40}$`).MatchString(c.Secret) ||
			!c.Expires.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("the credentials are %+v", c)
		}
		plain, err := base64.RawURLEncoding.DecodeString(c.SessionToken)
		must(t, err)
		if strings.Contains(string(plain), "alice") || strings.Contains(string(plain), c.Secret) {
			t.Error("the token can be read")
		}
		key, err := w.verifier.Keys.Key(t.Context(), c.KeyID, c.SessionToken)
		must(t, err)
		if diff := cmp.Diff(s, key.Owner.Session); diff != "" || key.Secret != c.Secret || !key.Owner.Expires.Equal(c.Expires) {
			t.Errorf("the token has %+v (-issued +got):\n%s", key, diff)
		}
		if p := key.Owner.Principal(); !p.Expires.Equal(c.Expires) || p.Session != s.Name {
			t.Errorf("the principal is %+v", p)
		}
		w.wantOwner(t, "a session", w.issue(t, s), "alice")
	}
}

func TestIssueRefuses(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name     string
		lifetime time.Duration
		change   func(*accesskey.Session)
		want     string
	}{
		{"too short", accesskey.MinLifetime - 1, nil, "it may last from 15m0s to 36h0m0s"},
		{"too long", accesskey.MaxLifetime + 1, nil, "it may last from"},
		{"of nobody", time.Hour, func(s *accesskey.Session) { s.Account = "" }, "of nobody"},
		{"of no credential", time.Hour, func(s *accesskey.Session) { s.Credential = "" }, "of nobody"},
		{"a role without a name", time.Hour, func(s *accesskey.Session) { s.Role = "build" }, "both or none"},
		{"a name without a role", time.Hour, func(s *accesskey.Session) { s.Name = "run" }, "both or none"},
		{"long tags", time.Hour, func(s *accesskey.Session) { s.Tags = map[string]string{"a": strings.Repeat("b", 13<<10)} }, "too long"},
	} {
		s := w.session(t)
		if test.change != nil {
			test.change(&s)
		}
		if c, err := w.issuer.Issue(s, test.lifetime); err == nil || !strings.Contains(err.Error(), test.want) || c != (accesskey.Credentials{}) {
			t.Errorf("%s: %+v, %v; want %q", test.name, c, err, test.want)
		}
	}
	for _, lifetime := range []time.Duration{accesskey.MinLifetime, accesskey.MaxLifetime} {
		_, err := w.issuer.Issue(w.session(t), lifetime)
		must(t, err)
	}
}

func TestSessionExpires(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(700 * time.Millisecond)
	c := w.issue(t, w.session(t))
	w.clock.Advance(time.Hour - 701*time.Millisecond)
	w.wantOwner(t, "a moment before", c, "alice")
	w.clock.Advance(time.Millisecond)
	w.wantRefused(t, "at its time", c, sigv4.ErrTokenExpired)
	must(t, w.accounts.DeleteAccount(t.Context(), "alice"))
	w.wantRefused(t, "without its account", c, sigv4.ErrTokenExpired)
}

// TestSessionEnds has all that a session ends with before its time.
func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, ctx context.Context) error{
		"a new password": func(w *world, ctx context.Context) error {
			return w.store.UpdateAccount(ctx, "alice", func(a *auth.Account) error { a.PasswordHash = "another"; return nil })
		},
		"the account is disabled": func(w *world, ctx context.Context) error { return w.accounts.SetDisabled(ctx, "alice", true) },
		"the account is deleted":  func(w *world, ctx context.Context) error { return w.accounts.DeleteAccount(ctx, "alice") },
		"the account is made again": func(w *world, ctx context.Context) error {
			return errors.Join(w.accounts.DeleteAccount(ctx, "alice"),
				w.store.CreateAccount(ctx, auth.Account{Name: "alice", Kind: auth.User, PasswordHash: "of another alice"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.issue(t, w.session(t))
			w.wantOwner(t, "before", c, "alice")
			must(t, end(w, t.Context()))
			w.wantRefused(t, "after", c, sigv4.ErrKeyUnknown)
		})
	}
}

// TestSessionToken has tokens that are not that of the key.
func TestSessionToken(t *testing.T) {
	w := newWorld(t)
	c, other := w.issue(t, w.session(t)), w.issue(t, w.session(t))
	token := c.SessionToken
	stranger := &accesskey.Issuer{Sealer: newSealer(t, configured('z')), Clock: w.clock.Now}
	forged, err := stranger.Issue(w.session(t), time.Hour)
	must(t, err)
	for name, token := range map[string]string{
		"none":              "",
		"another's":         other.SessionToken,
		"no base64":         "!" + token,
		"padded":            token + "=",
		"cut":               token[:len(token)-4],
		"longer":            token + "AAAA",
		"another format":    "AgAA" + token[4:],
		"only a format":     "AQ",
		"too long":          strings.Repeat("A", 16<<10+1),
		"of a stranger":     forged.SessionToken,
		"a changed secret":  alter(token, 4),
		"a changed nonce":   alter(token, 14),
		"a changed content": alter(token, len(token)/2),
		"a changed tag":     alter(token, len(token)-3),
	} {
		changed := c
		changed.SessionToken = token
		w.wantRefused(t, name, changed, sigv4.ErrKeyUnknown)
	}
	// A query can have what no header can.
	_, err = w.verifier.Keys.Key(t.Context(), c.AccessKeyID, token[:9]+"\n"+token[9:])
	wantError(t, "a line end", err, sigv4.ErrKeyUnknown)
	// Bits that nothing of the token is in.
	for i := range 3 {
		s := w.session(t)
		s.Tags = map[string]string{"a": strings.Repeat("b", i)}
		c := w.issue(t, s)
		last := c.SessionToken[len(c.SessionToken)-1:]
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		c.SessionToken = strings.TrimSuffix(c.SessionToken, last) + alphabet[strings.Index(alphabet, last)^1:][:1]
		w.wantRefused(t, "another last bit", c, sigv4.ErrKeyUnknown)
	}
	// The sealed secret of a key that lasts is no token, though the same secret seals it.
	made := w.create(t)
	k, err := w.store.AccessKey(t.Context(), made.AccessKeyID)
	must(t, err)
	c.SessionToken = base64.RawURLEncoding.EncodeToString(k.Sealed)
	w.wantRefused(t, "a sealed key", c, sigv4.ErrKeyUnknown)
}

// TestRotatedSecret: sessions last while the secret that they were sealed with is
// configured.
func TestRotatedSecret(t *testing.T) {
	w := newWorld(t)
	c := w.issue(t, w.session(t))
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, newSealer(t, configured('b'), configured('a')), w.clock.Now)
	w.wantOwner(t, "with both secrets", c, "alice")
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, newSealer(t, configured('b')), w.clock.Now)
	w.wantRefused(t, "with the new one", c, sigv4.ErrKeyUnknown)
}

// FuzzToken puts anything in the place of a token.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	f.Add(oldSession, oldToken)
	f.Add(oldSession, "")
	f.Add("AKIAAAAAAAAAAAAAAAAA", oldToken)
	f.Fuzz(func(t *testing.T, id, token string) {
		_, err := w.verifier.Keys.Key(t.Context(), id, token)
		if own := id == oldSession && token == oldToken; own != (err == nil) {
			t.Errorf("%q with %q: %v", id, token, err)
		}
	})
}
