package auth_test

import (
	"errors"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
)

var scopeTests = []struct {
	name string
	in   []string
	want string // the scopes, or the code of the error
}{
	{"none", nil, ""},
	{"empty", []string{""}, ""},
	{"one", []string{"repository:team/app:pull,push"}, "repository:team/app:pull,push"},
	{"separated by spaces", []string{"repository:a:pull repository:b/c:push"}, "repository:a:pull repository:b/c:push"},
	{"repeated", []string{"repository:a:pull", "repository:b:pull"}, "repository:a:pull repository:b:pull"},
	{"same repository", []string{"repository:a:pull repository:a:push,pull"}, "repository:a:pull,push"},
	{"class", []string{"repository(plugin):a:pull"}, "repository:a:pull"},
	{"all actions", []string{"repository:a:*"}, "repository:a:*"},
	{"delete", []string{"repository:a:pull,push,delete"}, "repository:a:pull,push,delete"},
	{"catalog", []string{"registry:catalog:*"}, "registry:catalog:*"},
	{"no actions", []string{"repository:a:"}, "repository:a:"},
	{"other type", []string{"plugin:host:5000/x:run"}, "plugin:host:5000/x:run"},
	{"no colon", []string{"aws"}, "UNSUPPORTED"},
	{"one colon", []string{"repository:a"}, "UNSUPPORTED"},
	{"no name", []string{"repository::pull"}, "UNSUPPORTED"},
	{"no type", []string{":a:pull"}, "UNSUPPORTED"},
	{"upper case type", []string{"Repository:a:pull"}, "UNSUPPORTED"},
	{"open class", []string{"repository(plugin:a:pull"}, "UNSUPPORTED"},
	{"bad class", []string{"repository(A):a:pull"}, "UNSUPPORTED"},
	{"bad action", []string{"repository:a:PULL"}, "UNSUPPORTED"},
	{"bad name", []string{"repository:Team:pull"}, "NAME_INVALID"},
	{"host in name", []string{"repository:host:5000/a:pull"}, "NAME_INVALID"},
	{"dots", []string{"repository:../a:pull"}, "NAME_INVALID"},
	{"too long", []string{strings.Repeat("repository:a:pull ", 1000)}, "UNSUPPORTED"},
}

func TestParseScopes(t *testing.T) {
	for _, test := range scopeTests {
		scopes, err := auth.ParseScopes(test.in...)
		got := auth.FormatScopes(scopes)
		if e, ok := errors.AsType[*registry.Error](err); ok {
			got = string(e.Code)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, test := range scopeTests {
		f.Add(strings.Join(test.in, " "))
	}
	f.Fuzz(func(t *testing.T, text string) {
		scopes, err := auth.ParseScopes(text)
		if err != nil {
			if _, ok := errors.AsType[*registry.Error](err); !ok || scopes != nil {
				t.Fatalf("%v, %v", scopes, err)
			}
			return
		}
		written := auth.FormatScopes(scopes)
		again, err := auth.ParseScopes(written)
		if err != nil || auth.FormatScopes(again) != written {
			t.Fatalf("%q is read as %q and then as %q, %v", text, written, auth.FormatScopes(again), err)
		}
	})
}
