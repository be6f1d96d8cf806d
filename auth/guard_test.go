package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
)

// guardCalls are all methods that concern one repository, with the actions each
// takes and the scope a token needs.
var guardCalls = []struct {
	name    string
	actions []auth.Action
	scope   string
	call    func(context.Context, registry.Registry, registry.Name) error
}{
	{"StatBlob", []auth.Action{auth.BatchCheckLayerAvailability}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.StatBlob(ctx, repo, blob)
		return err
	}},
	{"StatBlob", []auth.Action{auth.GetDownloadUrlForLayer}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.StatBlob(ctx, repo, blob)
		return err
	}},
	{"OpenBlob", []auth.Action{auth.GetDownloadUrlForLayer}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.OpenBlob(ctx, repo, blob, registry.Span{})
		return err
	}},
	{"BlobURL", []auth.Action{auth.GetDownloadUrlForLayer}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.BlobURL(ctx, repo, blob)
		return err
	}},
	{"StatManifest", []auth.Action{auth.BatchGetImage}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.StatManifest(ctx, repo, registry.Reference{Tag: "v1"})
		return err
	}},
	{"Manifest", []auth.Action{auth.BatchGetImage}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.Manifest(ctx, repo, registry.Reference{Tag: "v1"})
		return err
	}},
	{"Referrers", []auth.Action{auth.BatchGetImage}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, _, err := r.Referrers(ctx, repo, registry.ReferrersQuery{})
		return err
	}},
	{"Tags", []auth.Action{auth.ListImages}, "pull", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.Tags(ctx, repo, "", 10)
		return err
	}},
	{"StartUpload", []auth.Action{auth.InitiateLayerUpload}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.StartUpload(ctx, repo, "sha256")
		return err
	}},
	{"Upload", []auth.Action{auth.InitiateLayerUpload}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.Upload(ctx, repo, "id")
		return err
	}},
	{"AppendUpload", []auth.Action{auth.UploadLayerPart}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.AppendUpload(ctx, repo, "id", registry.Chunk{})
		return err
	}},
	{"FinishUpload", []auth.Action{auth.CompleteLayerUpload}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.FinishUpload(ctx, repo, "id", registry.Chunk{}, blob)
		return err
	}},
	{"FinishUpload", []auth.Action{auth.CompleteLayerUpload, auth.UploadLayerPart}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.FinishUpload(ctx, repo, "id", registry.Chunk{Size: -1, Body: strings.NewReader("x")}, blob)
		return err
	}},
	{"CancelUpload", []auth.Action{auth.UploadLayerPart}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		return r.CancelUpload(ctx, repo, "id")
	}},
	{"PutBlob", []auth.Action{auth.InitiateLayerUpload, auth.UploadLayerPart, auth.CompleteLayerUpload}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.PutBlob(ctx, repo, registry.Chunk{}, blob)
		return err
	}},
	{"PutManifest", []auth.Action{auth.PutImage}, "pull,push", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		_, err := r.PutManifest(ctx, repo, registry.Manifest{}, nil)
		return err
	}},
	{"DeleteTag", []auth.Action{auth.BatchDeleteImage}, "delete", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		return r.DeleteTag(ctx, repo, "v1")
	}},
	{"DeleteManifest", []auth.Action{auth.BatchDeleteImage}, "delete", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		return r.DeleteManifest(ctx, repo, blob)
	}},
	{"DeleteBlob", []auth.Action{auth.BatchDeleteImage}, "delete", func(ctx context.Context, r registry.Registry, repo registry.Name) error {
		return r.DeleteBlob(ctx, repo, blob)
	}},
}

// allow is a statement that allows actions on the repositories of a pattern.
func allow(pattern string, actions ...auth.Action) string {
	b, err := json.Marshal(map[string]any{"Effect": "Allow", "Action": actions, "Resource": "arn:aws:ecr:*:*:repository/" + pattern})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestGuardAsksForTheActions(t *testing.T) {
	for i, test := range guardCalls {
		t.Run(fmt.Sprintf("%s %d", test.name, i), func(t *testing.T) {
			w, next := newWorld(t), &fakeRegistry{}
			guard := auth.Guard(next, w.access)
			exact := w.user(t, "exact", allow("team/app", test.actions...))
			others := slices.DeleteFunc(auth.Actions(), func(a auth.Action) bool {
				return slices.Contains(test.actions, a) || test.name == "StatBlob" && (a == auth.BatchCheckLayerAvailability || a == auth.GetDownloadUrlForLayer)
			})
			other := w.user(t, "other", allow("team/app", others...))
			scope := "repository:team/app:" + test.scope

			check := func(what string, p auth.Principal, repo registry.Name, want error, reason auth.Reason) {
				t.Helper()
				err := test.call(auth.WithPrincipal(t.Context(), p), guard, repo)
				calls := next.take()
				if want == nil {
					if err != nil || !slices.Equal(calls, []string{test.name}) {
						t.Errorf("%s: %v, calls %v", what, err, calls)
					}
					return
				}
				refused, ok := errors.AsType[*auth.RefusedError](err)
				if !ok || !errors.Is(err, want) || len(calls) != 0 {
					t.Fatalf("%s: got %v, want %v; calls %v", what, err, want, calls)
				}
				if got := auth.FormatScopes(refused.Scopes); got != strings.Replace(scope, "team/app", string(repo), 1) {
					t.Errorf("%s: scopes %q", what, got)
				}
				if refused.Reason != reason || !strings.Contains(err.Error(), string(repo)) {
					t.Errorf("%s: reason %q: %v", what, refused.Reason, err)
				}
			}
			check("exactly allowed", exact, "team/app", nil, "")
			check("with a token", limited(t, exact, scope), "team/app", nil, "")
			check("with a token for all", limited(t, exact, "repository:team/app:*"), "team/app", nil, "")
			check("all but allowed", other, "team/app", registry.ErrDenied, "")
			check("other repository", exact, "team/app2", registry.ErrDenied, "")
			check("denied with a token", limited(t, other, scope), "team/app", registry.ErrDenied, "")
			check("token of another repository", limited(t, exact, "repository:team/app2:*"), "team/app", registry.ErrUnauthorized, auth.InsufficientScope)
			check("empty token", limited(t, exact, ""), "team/app", registry.ErrUnauthorized, auth.InsufficientScope)
			check("anonymous", auth.Nobody, "team/app", registry.ErrUnauthorized, "")
			check("anonymous with a token", limited(t, auth.Nobody, scope), "team/app", registry.ErrUnauthorized, auth.InsufficientScope)
		})
	}
}

// TestGuardKnowsAllMethods finds methods that were added to the interface and not to
// the table above.
func TestGuardKnowsAllMethods(t *testing.T) {
	tested := []string{"MountBlob", "Repositories", "BlobRepositories"}
	for _, c := range guardCalls {
		tested = append(tested, c.name)
	}
	typ := reflect.TypeFor[registry.Registry]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; !slices.Contains(tested, name) {
			t.Errorf("%s is not tested", name)
		}
	}
}

func TestGuardNeedsPushAndNotPullForPushing(t *testing.T) {
	w, next := newWorld(t), &fakeRegistry{}
	guard := auth.Guard(next, w.access)
	p := limited(t, w.user(t, "ci", auth.PowerUser), "repository:a:push")
	ctx := auth.WithPrincipal(t.Context(), p)
	if _, err := guard.StatBlob(ctx, "a", blob); err != nil {
		t.Errorf("StatBlob: %v", err)
	}
	if _, err := guard.StartUpload(ctx, "a", "sha256"); err != nil {
		t.Errorf("StartUpload: %v", err)
	}
	if _, err := guard.OpenBlob(ctx, "a", blob, registry.Span{}); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("OpenBlob: %v", err)
	}
}

func TestRefusalNamesWhoAndWhat(t *testing.T) {
	w := newWorld(t)
	guard := auth.Guard(&fakeRegistry{}, w.access)
	ctx := auth.WithPrincipal(t.Context(), w.user(t, "ci", auth.ReadOnly))
	_, err := guard.PutManifest(ctx, "team/app", registry.Manifest{}, nil)
	const want = "DENIED: user ci may not ecr:PutImage on repository team/app; ask an administrator of the registry for a policy that allows it"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestAnonymousPull(t *testing.T) {
	w, next := newWorld(t, "public/*"), &fakeRegistry{}
	guard := auth.Guard(next, w.access)
	for _, c := range guardCalls {
		if err := c.call(t.Context(), guard, "public/app"); (err == nil) != (c.scope == "pull") {
			t.Errorf("%s of a public repository: %v", c.name, err)
		}
		if err := c.call(t.Context(), guard, "private/app"); !errors.Is(err, registry.ErrUnauthorized) {
			t.Errorf("%s of a private repository: %v", c.name, err)
		}
	}
	if _, err := auth.NewAccess(w.store, auth.Options{AnonymousPull: []string{"Public"}}); !errors.Is(err, auth.ErrPolicyInvalid) {
		t.Errorf("a bad pattern: %v", err)
	}
}
