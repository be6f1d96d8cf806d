package credhelper_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withKey is a user with an access key in the environment.
func withKey(t *testing.T, r *registry) home {
	h := newHome(t, r)
	h.env["AWS_ACCESS_KEY_ID"], h.env["AWS_SECRET_ACCESS_KEY"] = "AKIAENV", "secret-of-env"
	return h
}

// files are what lies below a folder.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// logins are the files of remembered logins.
func (h home) logins(t *testing.T) (paths []string) {
	t.Helper()
	for _, path := range files(t, h.Cache) {
		if strings.HasSuffix(path, ".json") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestRemembers(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	h.wantLogin(t, r.host(), "login:of:env:1")
	h.wantLogin(t, r.host(), "login:of:env:1")
	h.wantLogin(t, "https://"+r.host()+"/v2/", "login:of:env:1")

	for _, path := range files(t, h.Cache) {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
	}

	// Whoever logs in is somebody else, and so is who has another secret.
	h.env["AWS_SECRET_ACCESS_KEY"] = "guessed"
	h.wantError(t, r.host(), "InvalidSignatureException")
	h.env["AWS_ACCESS_KEY_ID"], h.env["AWS_SECRET_ACCESS_KEY"] = "AKIAPROFILE", "secret-of-profile"
	h.wantLogin(t, r.host(), "login:of:profile:2")

	// Another registry has logins of its own.
	other := newRegistry(t)
	h.env["AWS_CA_BUNDLE"] = newHome(t, other).env["AWS_CA_BUNDLE"]
	h.wantLogin(t, other.host(), "login:of:profile:1")
	h.wantLogin(t, r.host(), "login:of:profile:2")

	// docker logout forgets those of one registry.
	h.wantDocker(t, "erase", r.host(), "")
	h.wantLogin(t, r.host(), "login:of:profile:3")
	h.wantLogin(t, other.host(), "login:of:profile:1")
}

func TestAsksAgainInTime(t *testing.T) {
	for _, test := range []struct{ life, kept, over time.Duration }{
		{12 * time.Hour, 11*time.Hour + 29*time.Minute, 11*time.Hour + 31*time.Minute},
		{time.Hour, 53 * time.Minute, 55 * time.Minute},
	} {
		r := newRegistry(t)
		h := withKey(t, r)
		now := time.Now().Truncate(time.Second)
		h.Clock = func() time.Time { return now }
		r.clock, r.life = h.Clock, test.life
		h.wantLogin(t, r.host(), "login:of:env:1")
		begun := now
		now = begun.Add(test.kept)
		h.wantLogin(t, r.host(), "login:of:env:1")
		now = begun.Add(test.over)
		h.wantLogin(t, r.host(), "login:of:env:2")
	}
}

// TestClocks: what counts is how long a login is good for, by the registry's own clock.
func TestClocks(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	now := time.Now().Truncate(time.Second)
	h.Clock = func() time.Time { return now }
	r.clock = func() time.Time { return now.Add(-4 * time.Minute) }
	login, err := h.Login(t.Context(), r.host())
	must(t, err)
	if got := login.Until.Sub(now); got != 12*time.Hour {
		t.Errorf("the login is good for %v", got)
	}
}

func TestNothingLastsForever(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	r.life = -time.Minute
	h.wantLogin(t, r.host(), "login:of:env:1")
	h.wantLogin(t, r.host(), "login:of:env:2")

	// What has expired goes when something else comes.
	now := time.Now()
	h.Clock = func() time.Time { return now }
	r.clock, r.life = h.Clock, time.Hour
	h.wantLogin(t, r.host(), "login:of:env:3")
	now = now.Add(2 * time.Hour)
	h.env["AWS_ACCESS_KEY_ID"], h.env["AWS_SECRET_ACCESS_KEY"] = "AKIAPROFILE", "secret-of-profile"
	h.wantLogin(t, r.host(), "login:of:profile:4")
	if got := h.logins(t); len(got) != 1 {
		t.Errorf("these are left: %q", got)
	}
}

// TestTokensRotate: the next token about the same is the same identity.
func TestTokensRotate(t *testing.T) {
	r := newRegistry(t)
	h := newHome(t, r)
	h.env["AWS_ROLE_ARN"], h.env["AWS_WEB_IDENTITY_TOKEN_FILE"] = role, filepath.Join(h.dir, "token")
	token := func(subject string, expires int) {
		claims := fmt.Sprintf(`{"iss":"https://issuer.example.com","sub":%q,"exp":%d}`, subject, expires)
		h.write(t, "token", "header."+base64.RawURLEncoding.EncodeToString([]byte(claims))+".signature")
	}
	token("alice", 1)
	h.wantLogin(t, r.host(), "login:of:session:1")
	token("alice", 2)
	h.wantLogin(t, r.host(), "login:of:session:1")
	token("bob", 2)
	h.wantLogin(t, r.host(), "login:of:session:2")
	h.write(t, "token", "token of nobody in particular")
	h.wantLogin(t, r.host(), "login:of:session:3")
}

func TestDamagedMemory(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	h.wantLogin(t, r.host(), "login:of:env:1")
	path := h.logins(t)[0]
	whole, err := os.ReadFile(path)
	must(t, err)
	for i, content := range []string{"", "{", "[]", `{"Forget":"2999-01-01T00:00:00Z"}`, string(whole[:len(whole)-2]), "\x00\x01"} {
		must(t, os.WriteFile(path, []byte(content), 0o600))
		h.wantLogin(t, r.host(), fmt.Sprintf("login:of:env:%d", i+2))
		h.wantLogin(t, r.host(), fmt.Sprintf("login:of:env:%d", i+2))
	}
}

// TestNowhereToRemember: that costs a round trip and nobody's login.
func TestNowhereToRemember(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	h.Cache = ""
	h.wantLogin(t, r.host(), "login:of:env:1")
	h.wantLogin(t, r.host(), "login:of:env:2")
	h.Cache = h.write(t, "a-file", "")
	h.wantLogin(t, r.host(), "login:of:env:3")
	if got := h.log.String(); !strings.Contains(got, "is not remembered") || strings.Contains(got, "login:of") {
		t.Errorf("the log has %q", got)
	}
}

// TestAtOnce: one of many asks, as the locks have it, which are of open files and not of
// processes.
func TestAtOnce(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { h.wantLogin(t, r.host(), "login:of:env:1") })
	}
	wg.Wait()
	if n := r.asked.Load(); n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}
}

// TestStuckProcess: somebody who holds the lock for ever keeps nobody from logging in.
func TestStuckProcess(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	r.life = -time.Minute
	h.wantLogin(t, r.host(), "login:of:env:1")
	for _, path := range files(t, h.Cache) {
		file, err := os.Open(path)
		must(t, err)
		defer file.Close()
		must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
	}
	h.Timeout = 500 * time.Millisecond
	h.wantLogin(t, r.host(), "login:of:env:2")
}
