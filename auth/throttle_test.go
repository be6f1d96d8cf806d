package auth

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"berth/registry"
)

func TestThrottle(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	th := newThrottle()
	me := pair{"alice", "192.0.2.1"}
	fail := func(p pair) bool { return th.begin(p, now) == nil }

	for i := range 10 {
		if !fail(me) {
			t.Fatalf("refused after %d failures", i)
		}
	}
	err := th.begin(me, now)
	throttled, ok := errors.AsType[*ThrottledError](err)
	if !ok || !errors.Is(err, registry.ErrTooManyRequests) || throttled.RetryAfter != 6*time.Second {
		t.Fatalf("after 10 failures: %v", err)
	}
	h := http.Header{}
	RetryAfter(h, err)
	if h.Get("Retry-After") != "6" {
		t.Errorf("Retry-After is %q", h.Get("Retry-After"))
	}
	if !fail(pair{"alice", "192.0.2.2"}) || !fail(pair{"bob", "192.0.2.1"}) {
		t.Error("others are refused too")
	}
	now = now.Add(6 * time.Second)
	if !fail(me) || fail(me) {
		t.Error("6 seconds do not bring one more attempt")
	}
	now = now.Add(time.Hour)
	for range 100 { // what succeeds is not counted
		if !fail(me) {
			t.Fatal("refused after successes")
		}
		th.succeed(me, now, true)
	}
}

func TestThrottleOfOneAddress(t *testing.T) {
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	passed := 0
	for i := range 200 {
		if th.begin(pair{fmt.Sprintf("user%d", i), "192.0.2.1"}, now) == nil {
			passed++
		}
	}
	if passed != 60 {
		t.Errorf("%d attempts passed", passed)
	}
}

func TestThrottleOfOneAccount(t *testing.T) {
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	home := pair{"alice", "198.51.100.1"}
	if th.begin(home, now) != nil {
		t.Fatal("refused at first")
	}
	th.succeed(home, now, true)
	passed := 0
	for i := range 1000 {
		if th.begin(pair{"alice", fmt.Sprintf("address %d", i)}, now) == nil {
			passed++
		}
	}
	if passed != 100 {
		t.Errorf("%d attempts passed", passed)
	}
	if th.begin(home, now) != nil {
		t.Error("the attack keeps out an address that is known")
	}
	if th.begin(pair{"alice", "203.0.113.1"}, now.Add(2*time.Second)) != nil {
		t.Error("the attack keeps out a new address for good")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	for i := range 3 * maxBuckets {
		_ = th.begin(pair{fmt.Sprint("user", i), fmt.Sprint("address", i)}, now)
	}
	if n := th.pairs.Len() + th.addresses.Len() + th.accounts.Len(); n != 3*maxBuckets {
		t.Errorf("%d counters", n)
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1",
		"::ffff:192.0.2.1":      "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"fe80::1%eth0":          "fe80::/64",
		"@":                     "@",
		"":                      "",
		"not an address at all": "not an address at all",
	} {
		if got := network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestPasswordHashes(t *testing.T) {
	ctx := t.Context()
	hash, err := HashPassword(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if ok, err := checkPassword(ctx, hash, password); ok != want || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	for _, bad := range []string{
		"", "none", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaaaa",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaaaa",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaaaa",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "$argon2id$v=19$m=64,t=1,p=1$?$?",
	} {
		if _, ok := parseArgon(bad); ok {
			t.Errorf("%s is read", bad)
		}
		if ok, err := checkPassword(ctx, bad, ""); ok || err != nil {
			t.Errorf("%s: %v, %v", bad, ok, err)
		}
	}
	for _, bad := range []string{"short", "with\nline end", "with\x00nul....", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := HashPassword(ctx, bad); !errors.Is(err, ErrPasswordInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
