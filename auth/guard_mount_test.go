package auth_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
)

func has(names ...registry.Name) map[registry.Name]bool {
	m := map[registry.Name]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

const (
	pushA  = `{"Effect":"Allow","Action":["ecr:InitiateLayerUpload","ecr:UploadLayerPart","ecr:CompleteLayerUpload"],"Resource":"arn:aws:ecr:*:*:repository/a"}`
	readB  = `{"Effect":"Allow","Action":"ecr:GetDownloadUrlForLayer","Resource":"arn:aws:ecr:*:*:repository/b"}`
	noMain = `{"Effect":"Deny","Action":"ecr:*","Resource":"arn:aws:ecr:*:*:repository/main"}`
)

var mountTests = []struct {
	name     string
	policies []string
	token    string // "-" for none
	from     registry.Name
	blobs    map[registry.Name]bool
	want     string // the mount that succeeded, the code of the error, or the scopes asked for
}{
	{"allowed", []string{pushA, readB}, "-", "b", has("b"), "MountBlob from b"},
	{"not there", []string{pushA, readB}, "-", "b", has(), "BLOB_UNKNOWN"},
	{"source not readable", []string{pushA}, "-", "b", has("b"), "BLOB_UNKNOWN"},
	{"source not readable with a token", []string{pushA}, "repository:a:push", "b", has("b"), "BLOB_UNKNOWN"},
	{"target not writable", []string{readB}, "-", "b", has("b"), "DENIED repository:a:pull,push repository:b:pull"},
	{"token for both", []string{pushA, readB}, "repository:a:push repository:b:pull", "b", has("b"), "MountBlob from b"},
	{"token for the target", []string{pushA, readB}, "repository:a:pull,push", "b", has("b"), "UNAUTHORIZED repository:a:pull,push repository:b:pull"},
	{"token for the source", []string{pushA, readB}, "repository:b:pull", "b", has("b"), "UNAUTHORIZED repository:a:pull,push repository:b:pull"},

	{"anywhere", []string{pushA, readB}, "-", "", has("a1", "b", "c"), "MountBlob from b"},
	{"anywhere, itself first", []string{auth.PowerUser}, "-", "", has("a", "b"), "MountBlob from a"},
	{"anywhere, not readable", []string{pushA}, "-", "", has("b"), "BLOB_UNKNOWN"},
	{"anywhere, denied", []string{auth.PowerUser, noMain}, "-", "", has("main"), "BLOB_UNKNOWN"},
	{"anywhere, nowhere", []string{auth.PowerUser}, "-", "", has(), "BLOB_UNKNOWN"},
	{"anywhere the token is for", []string{auth.PowerUser}, "repository:a:push repository:c:pull repository:d:pull", "", has("b", "d"), "MountBlob from d"},
	{"nowhere the token is for", []string{auth.PowerUser}, "repository:a:push repository:c:pull", "", has("b"), "BLOB_UNKNOWN"},
	{"anywhere, target not writable", []string{readB}, "-", "", has("b"), "DENIED repository:a:pull,push"},
}

func TestGuardMounts(t *testing.T) {
	for _, test := range mountTests {
		w, next := newWorld(t), &fakeRegistry{blobs: test.blobs}
		guard := auth.Guard(next, w.access)
		p := w.user(t, "ci", test.policies...)
		if test.token != "-" {
			p = limited(t, p, test.token)
		}
		_, err := guard.MountBlob(auth.WithPrincipal(t.Context(), p), "a", test.from, blob)
		got := ""
		calls := next.take()
		switch e, _ := errors.AsType[*registry.Error](err); {
		case e != nil:
			got = string(e.Code)
			if refused, ok := errors.AsType[*auth.RefusedError](err); ok {
				got += " " + auth.FormatScopes(refused.Scopes)
				if len(calls) > 0 {
					t.Errorf("%s: calls %v", test.name, calls)
				}
			}
		case len(calls) > 0:
			got = calls[len(calls)-1]
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s (calls %v)", test.name, got, test.want, calls)
		}
	}
}

func TestGuardMountSearchIsBounded(t *testing.T) {
	w, next := newWorld(t), &fakeRegistry{blobs: map[registry.Name]bool{}}
	for i := range 5000 {
		next.blobs[registry.Name(fmt.Sprintf("hidden/r%04d", i))] = true
	}
	next.blobs["z"] = true
	guard := auth.Guard(next, w.access)
	p := w.user(t, "ci", pushA, strings.ReplaceAll(readB, "/b", "/z"))
	if _, err := guard.MountBlob(auth.WithPrincipal(t.Context(), p), "a", "", blob); !errors.Is(err, registry.ErrBlobUnknown) {
		t.Error(err)
	}
	if calls := next.take(); len(calls) != 10 {
		t.Errorf("%d calls", len(calls))
	}
}

func TestGuardLists(t *testing.T) {
	w, next := newWorld(t, "public/*"), &fakeRegistry{blobs: map[registry.Name]bool{}}
	var all, team []registry.Name
	for i := range 1500 {
		other, mine := registry.Name(fmt.Sprintf("other/r%04d", i)), registry.Name(fmt.Sprintf("team/r%04d", i))
		all = append(all, other, mine)
		if i%75 == 0 {
			team = append(team, mine)
		}
	}
	all = append(all, "public/a", "public/b")
	slices.Sort(all)
	next.names = all
	for _, n := range all {
		next.blobs[n] = true
	}
	guard := auth.Guard(next, w.access)
	list := func(p auth.Principal, limit int) (got []registry.Name) {
		t.Helper()
		ctx := auth.WithPrincipal(t.Context(), p)
		last := registry.Name("")
		for {
			page, err := guard.Repositories(ctx, last, limit)
			must(t, err)
			got = append(got, page...)
			if len(page) < limit {
				return got
			}
			last = page[len(page)-1]
		}
	}
	some := w.user(t, "some", allowEach(team))
	if got := list(some, 10); !slices.Equal(got, team) {
		t.Errorf("%d names, want %d", len(got), len(team))
	}
	next.take()
	if got := list(w.user(t, "team", allow("team/*", auth.BatchGetImage)), 1000); len(got) != 1500 {
		t.Errorf("%d names of the team", len(got))
	}
	if calls := next.take(); len(calls) > 3 {
		t.Errorf("%d pages were read", len(calls))
	}
	if got := list(w.user(t, "reader", auth.ReadOnly), 100); !slices.Equal(got, all) {
		t.Errorf("%d names for all", len(got))
	}
	if got := list(w.user(t, "none"), 100); len(got) != 0 {
		t.Errorf("%d names without a policy", len(got))
	}
	if got := list(limited(t, auth.Nobody, "registry:catalog:*"), 100); !slices.Equal(got, []registry.Name{"public/a", "public/b"}) {
		t.Errorf("anonymous sees %v", got)
	}

	for name, p := range map[string]auth.Principal{
		"anonymous":         auth.Nobody,
		"anonymous, pull":   limited(t, auth.Nobody, "repository:public/a:pull"),
		"token for nothing": limited(t, some, ""),
	} {
		_, err := guard.Repositories(auth.WithPrincipal(t.Context(), p), "", 10)
		refused, ok := errors.AsType[*auth.RefusedError](err)
		if !ok || !errors.Is(err, registry.ErrUnauthorized) || auth.FormatScopes(refused.Scopes) != "registry:catalog:*" {
			t.Errorf("%s: %v", name, err)
		}
	}

	reader := auth.Principal{Name: "reader", Kind: auth.User}
	got, err := guard.BlobRepositories(auth.WithPrincipal(t.Context(), limited(t, reader, "repository:team/r0005:pull repository:x:pull")), blob, "", 10)
	if err != nil || !slices.Equal(got, []registry.Name{"team/r0005"}) {
		t.Errorf("BlobRepositories: %v, %v", got, err)
	}
	got, err = guard.BlobRepositories(t.Context(), blob, "public/a", 10)
	if err != nil || !slices.Equal(got, []registry.Name{"public/b"}) {
		t.Errorf("BlobRepositories of anonymous: %v, %v", got, err)
	}
}

// allowEach allows to describe each of names.
func allowEach(names []registry.Name) string {
	var resources []string
	for _, n := range names {
		resources = append(resources, fmt.Sprintf(`"arn:aws:ecr:*:*:repository/%s"`, n))
	}
	return `{"Effect":"Allow","Action":"ecr:DescribeRepositories","Resource":[` + strings.Join(resources, ",") + `]}`
}
