package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsage has wrong command lines be told, with exit code 2.
func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"", "missing flags: --registry=URL"},
		{"--registry http://x --memory much", `"much" is not a size`},
		{"--registry http://x --memory 1MiB", "--memory must be 64MiB at least"},
		{"--registry http://x --disk 1MiB", "--disk must be 64MiB at least"},
		{"--registry http://x --time 1ms", "--time must be a second at least"},
		{"--registry http://x --workers 0", "--workers must be from 1 to 1000"},
		{"--registry http://x --password-file p", "--password-file needs --user"},
		{"--registry http://x more", "unexpected argument more"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(test.args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), test.want) {
			t.Errorf("%s: %d, %s", test.args, code, errs.String())
		}
	}
	for _, arg := range []string{"--version", "--help"} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{arg}, &out, &errs); code != 0 || !strings.Contains(out.String(), "berth-scanner") {
			t.Errorf("%s: %d, %s", arg, code, errs.String())
		}
	}
}

// TestPlain has a binary without an engine say how to get one.
func TestPlain(t *testing.T) {
	if hasEngine {
		t.Skip("this one has an engine")
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--registry", "http://127.0.0.1:1"}, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "GOEXPERIMENT=jsonv2 go build ./cmd/berth-scanner") {
		t.Errorf("%d, %s", code, errs.String())
	}
	if code := run(t.Context(), []string{engineArgument}, &out, &errs); code != exitFailed {
		t.Errorf("an engine: %d", code)
	}
}

func TestAuthorize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name            string
		flags           flags
		token, password string
		want, fails     string
	}{
		{"a token", flags{}, "secret", "", "Bearer secret", ""},
		{"a file", flags{User: "scanner", PasswordFile: file}, "", "", "scanner:from a file", ""},
		{"the environment", flags{User: "scanner"}, "", "from there", "scanner:from there", ""},
		{"nothing", flags{}, "", "", "", "--user is missing"},
		{"no password", flags{User: "scanner"}, "", "", "", "there is no password for scanner"},
		{"no file", flags{User: "scanner", PasswordFile: file + ".none"}, "", "", "", "--password-file: "},
		{"both", flags{User: "scanner"}, "secret", "", "", "--user has no effect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(tokenVariable, test.token)
			t.Setenv(passwordVariable, test.password)
			authorize, err := test.flags.authorize()
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequest(http.MethodGet, "http://registry", nil)
			if err != nil {
				t.Fatal(err)
			}
			authorize(r)
			got := r.Header.Get("Authorization")
			if user, password, ok := r.BasicAuth(); ok {
				got = user + ":" + password
			}
			if got != test.want {
				t.Errorf("it says %q", got)
			}
		})
	}
}
