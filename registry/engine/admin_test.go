package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// onBothDatabases runs a test on SQLite and on PostgreSQL.
func onBothDatabases(t *testing.T, opts engine.Options, test func(t *testing.T, e *engine.Engine)) {
	for name, open := range map[string]func(t *testing.T) *meta.DB{
		"SQLite":     func(t *testing.T) *meta.DB { return openDB(t) },
		"PostgreSQL": func(t *testing.T) *meta.DB { return openURL(t, pgtest.Database(t)) },
	} {
		t.Run(name, func(t *testing.T) { test(t, engine.New(open(t), mem.New(), opts)) })
	}
}

func TestSettings(t *testing.T) {
	onBothDatabases(t, engine.Options{}, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		s := registry.Settings{
			Mutability:   registry.Mutability{Mode: registry.ImmutableWithExclusion, Exclusions: []string{"latest*"}},
			ScanOnPush:   true,
			Encryption:   registry.Encryption{Type: "KMS", Key: "alias/mine"},
			ResourceTags: map[string]string{"env": "prod"},
		}
		made, err := e.CreateRepository(ctx, "b", s)
		want(t, "CreateRepository", err, nil)
		if diff := cmp.Diff(s, made.Settings); diff != "" || made.Name != "b" || made.CreatedAt.IsZero() {
			t.Errorf("made %+v (-want +got):\n%s", made, diff)
		}
		_, err = e.CreateRepository(ctx, "a", registry.Settings{})
		want(t, "CreateRepository", err, nil)
		_, err = e.ChangeSettings(ctx, "a", func(s *registry.Settings) error {
			s.Mutability.Mode, s.ResourceTags = registry.Immutable, map[string]string{"k": ""}
			return nil
		})
		want(t, "ChangeSettings", err, nil)
		no := errors.New("no")
		_, err = e.ChangeSettings(ctx, "a", func(s *registry.Settings) error {
			s.ScanOnPush = true
			return no
		})
		want(t, "ChangeSettings that fails", err, no)

		all, err := e.DescribeRepositories(ctx, "", 10)
		want(t, "DescribeRepositories", err, nil)
		a := registry.Repository{Name: "a", Settings: registry.Settings{
			Mutability: registry.Mutability{Mode: registry.Immutable}, ResourceTags: map[string]string{"k": ""},
		}}
		if diff := cmp.Diff([]registry.Repository{a, made}, all, cmpopts.IgnoreFields(registry.Repository{}, "CreatedAt")); diff != "" {
			t.Errorf("repositories (-want +got):\n%s", diff)
		}
		all, err = e.DescribeRepositories(ctx, "a", 10)
		want(t, "DescribeRepositories", err, nil)
		if len(all) != 1 || all[0].Name != "b" {
			t.Errorf("after a: %+v", all)
		}
	})
}

func TestPolicies(t *testing.T) {
	onBothDatabases(t, engine.Options{}, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		_, err := e.RepositoryPolicy(ctx, "a")
		want(t, "RepositoryPolicy of no repository", err, registry.ErrNameUnknown)
		_, err = e.CreateRepository(ctx, "a", registry.Settings{})
		want(t, "CreateRepository", err, nil)
		one, two := json.RawMessage(`{"a":1}`), json.RawMessage(`{"a":2}`)

		_, err = e.RepositoryPolicy(ctx, "a")
		want(t, "RepositoryPolicy", err, registry.ErrNotSet)
		_, err = e.SetRepositoryPolicy(ctx, "a", nil)
		want(t, "removing what is not there", err, registry.ErrNotSet)
		_, err = e.SetRepositoryPolicy(ctx, "a", one)
		want(t, "SetRepositoryPolicy", err, nil)
		was, err := e.SetRepositoryPolicy(ctx, "a", two)
		want(t, "SetRepositoryPolicy", err, nil)
		now, err := e.RepositoryPolicy(ctx, "a")
		want(t, "RepositoryPolicy", err, nil)
		if string(was) != string(one) || string(now) != string(two) {
			t.Errorf("it was %s and is %s", was, now)
		}

		_, err = e.LifecyclePolicy(ctx, "a")
		want(t, "LifecyclePolicy", err, registry.ErrNotSet)
		_, err = e.SetLifecyclePolicy(ctx, "a", one)
		want(t, "SetLifecyclePolicy", err, nil)
		gone, err := e.SetLifecyclePolicy(ctx, "a", nil)
		want(t, "removing it", err, nil)
		if string(gone.Text) != string(one) {
			t.Errorf("the lifecycle policy was %s", gone.Text)
		}
		_, err = e.SetLifecyclePolicy(ctx, "a", nil)
		want(t, "removing it again", err, registry.ErrNotSet)
	})
}

func TestRegistrySettings(t *testing.T) {
	onBothDatabases(t, engine.Options{}, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		_, err := e.Setting(ctx, registry.ScanningSetting)
		want(t, "Setting", err, registry.ErrNotSet)
		_, err = e.SetSetting(ctx, registry.ScanningSetting, nil)
		want(t, "removing what is not there", err, registry.ErrNotSet)
		for _, v := range []string{`1`, `2`} {
			_, err = e.SetSetting(ctx, registry.ScanningSetting, json.RawMessage(v))
			want(t, "SetSetting", err, nil)
		}
		was, err := e.SetSetting(ctx, registry.ScanningSetting, nil)
		want(t, "removing it", err, nil)
		if string(was) != `2` {
			t.Errorf("it was %s", was)
		}

		const limit = 3
		for i := range limit {
			_, err := e.ExcludePullTime(ctx, fmt.Sprint("arn:", i), limit)
			want(t, "ExcludePullTime", err, nil)
		}
		_, err = e.ExcludePullTime(ctx, "arn:1", limit)
		want(t, "ExcludePullTime again", err, registry.ErrNameTaken)
		_, err = e.ExcludePullTime(ctx, "arn:x", limit)
		want(t, "one too many", err, registry.ErrLimitExceeded)
		want(t, "IncludePullTime", e.IncludePullTime(ctx, "arn:0"), nil)
		want(t, "IncludePullTime again", e.IncludePullTime(ctx, "arn:0"), registry.ErrNotSet)
		all, err := e.PullTimeExclusions(ctx, "arn:1", 10)
		want(t, "PullTimeExclusions", err, nil)
		if len(all) != 1 || all[0].Principal != "arn:2" || all[0].CreatedAt.IsZero() {
			t.Errorf("exclusions %+v", all)
		}
	})
}

// TestCreationTemplates: what is pushed to is made as the closest template says.
func TestCreationTemplates(t *testing.T) {
	onBothDatabases(t, engine.Options{}, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		put := func(prefix, cause string, replace bool, expected error) {
			t.Helper()
			template := registry.CreationTemplate{
				Prefix: prefix, AppliedFor: []string{cause}, Policy: `{"of":"` + prefix + `"}`, Lifecycle: `{}`,
				Settings: registry.Settings{Mutability: registry.Mutability{Mode: registry.Immutable}, ResourceTags: map[string]string{"made": prefix}},
			}
			made, err := e.ChangeCreationTemplate(ctx, prefix, func(t *registry.CreationTemplate) error {
				template.CreatedAt = t.CreatedAt
				*t = template
				return nil
			})
			if !replace {
				made, err = e.AddCreationTemplate(ctx, template)
			}
			want(t, "a template", err, expected)
			if err == nil && (made.CreatedAt.IsZero() || made.Prefix != prefix) {
				t.Errorf("made %+v", made)
			}
		}
		put("prod", registry.CreateOnPush, true, registry.ErrNotSet)
		put("prod", registry.CreateOnPush, false, nil)
		put("prod", registry.CreateOnPush, false, registry.ErrNameTaken)
		put("prod", registry.CreateOnPush, true, nil)
		put("prod/web", registry.CreateOnPush, false, nil)
		put("other", "REPLICATION", false, nil)
		b := registrytest.NewBlob(1, 1)
		for repo, made := range map[registry.Name]string{
			"prod/x": "prod", "prod/web/x": "prod/web", "prod/webx": "prod", "production/x": "", "prod": "", "other/x": "",
		} {
			_, started := e.StartUpload(ctx, repo, digest.SHA256)
			_, err := e.PutBlob(ctx, repo, b.Chunk(), b.Digest)
			if made == "" {
				want(t, string(repo), err, registry.ErrNameUnknown)
				want(t, string(repo), started, registry.ErrNameUnknown)
				continue
			}
			want(t, string(repo), errors.Join(err, started), nil)
			r, err := e.Repository(ctx, repo)
			want(t, "Repository", err, nil)
			policy, err := e.RepositoryPolicy(ctx, repo)
			want(t, "RepositoryPolicy", err, nil)
			_, err = e.LifecyclePolicy(ctx, repo)
			want(t, "LifecyclePolicy", err, nil)
			if r.Mutability.Mode != registry.Immutable || r.ResourceTags["made"] != made || string(policy) != `{"of":"`+made+`"}` {
				t.Errorf("%s was made as %+v with the policy %s", repo, r, policy)
			}
		}
		list, err := e.CreationTemplates(ctx, "other", 10)
		want(t, "CreationTemplates", err, nil)
		if len(list) != 2 || list[0].Prefix != "prod" {
			t.Errorf("templates %+v", list)
		}
		_, err = e.DeleteCreationTemplate(ctx, "other")
		want(t, "DeleteCreationTemplate", err, nil)
		_, err = e.DeleteCreationTemplate(ctx, "other")
		want(t, "DeleteCreationTemplate again", err, registry.ErrNotSet)
	})
}
