package registry_test

import (
	"errors"
	"strings"
	"testing"

	"berth/registry"
)

func TestParseImageRef(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct {
		text, name string
		err        error
	}{
		{"team/app@" + d, "team/app", nil},
		{"app@" + d, "app", nil},
		{"registry.example.com/team/app@" + d, "team/app", nil},
		{"localhost:5000/app:v1@" + d, "app", nil},
		{"localhost/app@" + d, "app", nil},
		{"docker-pullable://registry.example.com/app@" + d, "app", nil},
		{"team/app:v1", "", registry.ErrDigestInvalid},
		{d, "", registry.ErrDigestInvalid},
		{"", "", registry.ErrDigestInvalid},
		{"@" + d, "", registry.ErrNameInvalid},
		{"Team/App@" + d, "", registry.ErrNameInvalid},
		{"team/../app@" + d, "", registry.ErrNameInvalid},
		{"app@sha256:abc", "", registry.ErrDigestInvalid},
	} {
		ref, err := registry.ParseImageRef(c.text)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%q: %v, want %v", c.text, err, c.err)
		}
		if err == nil && (string(ref.Repository) != c.name || ref.Digest.String() != d) {
			t.Errorf("%q is %v", c.text, ref)
		}
	}
}
