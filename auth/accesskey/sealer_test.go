package accesskey_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/auth/accesskey"
)

func TestNewSealer(t *testing.T) {
	for name, secrets := range map[string][][]byte{
		"none":           {},
		"empty":          {{}},
		"short":          {configured('a')[:31]},
		"a short second": {configured('a'), configured('b')[:31]},
	} {
		if _, err := accesskey.NewSealer(secrets...); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// loadSealer makes a sealer of files.
func loadSealer(paths ...string) (*accesskey.Sealer, error) {
	var secrets [][]byte
	for _, path := range paths {
		secret, err := accesskey.LoadSecret(path)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	s, err := accesskey.NewSealer(secrets...)
	if err != nil {
		err = fmt.Errorf("%q: %w", paths, err)
	}
	return s, err
}

func TestLoadSecret(t *testing.T) {
	secret := strings.Repeat("s", 32)
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		want          string // of the error
	}{
		{"owner", secret, 0o600, ""},
		{"read-only", secret, 0o400, ""},
		{"the group reads", secret, 0o440, ""},
		{"the group writes", secret, 0o660, "has the mode 0660"},
		{"all read", secret, 0o644, "has the mode 0644"},
		{"others read", secret, 0o604, "has the mode 0604"},
		{"line end", secret + "\r\n", 0o600, ""},
		{"short without its line end", secret[1:] + "\n", 0o600, "at least 32 random bytes, not 31"},
		{"empty", "", 0o600, "at least 32 random bytes, not 0"},
		{"huge", strings.Repeat("s", 4<<10+1), 0o600, "at most 4096"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			must(t, os.WriteFile(path, []byte(test.content), 0o600))
			must(t, os.Chmod(path, test.mode))
			s, err := loadSealer(path)
			if test.want == "" {
				must(t, err)
				opensWhatOthersSeal(t, s, newSealer(t, []byte(secret)))
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v; want %q about %s", err, test.want, path)
			}
		})
	}
	dir := t.TempDir()
	for name, paths := range map[string][]string{
		"nothing": nil, "a folder": {dir}, "no file": {filepath.Join(dir, "none")},
	} {
		if _, err := loadSealer(paths...); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}

// opensWhatOthersSeal fails the test unless both sealers have the same secret.
func opensWhatOthersSeal(t *testing.T, a, b *accesskey.Sealer) {
	t.Helper()
	w := newWorld(t)
	w.manager.Sealer = a
	c := w.create(t)
	w.verifier.Keys = accesskey.NewKeys(w.store, w.store, b, w.clock.Now)
	w.wantOwner(t, "sealed by one and opened by the other", c, "alice")
}
