package meta_test

import (
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
)

// keepOne keeps one image.
const keepOne = `{"rules":[
	{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`

// prune has policies tried out and applied in a repository that it makes, in every way there is.
func prune(t *testing.T, db *meta.DB, e *engine.Engine, do func(string, error)) {
	ctx := t.Context()
	const repo = registry.Name("pruned")
	one, two := registrytest.Recipe{Seed: 70}.Image(), registrytest.Recipe{Seed: 71}.Image()
	subject := one.Descriptor()
	signature := registrytest.Recipe{Seed: 72, Subject: &subject}.Image()
	images := []registrytest.Image{one, two, signature, registrytest.Recipe{Seed: 73}.Index(two)}
	for _, image := range images {
		for _, b := range image.Blobs {
			_, err := e.PutBlob(ctx, repo, b.Chunk(), b.Digest)
			do("PutBlob", err)
		}
		_, err := e.PutManifest(ctx, repo, image.Manifest, []registry.Tag{"t" + registry.Tag(image.Digest.Encoded()[:8])})
		do("PutManifest", err)
	}
	_, err := e.SetLifecyclePolicy(ctx, repo, []byte(keepOne))
	do("SetLifecyclePolicy", err)
	_, err = db.ScheduleLifecycle(ctx, 10, func() time.Duration { return time.Hour })
	do("ScheduleLifecycle", err)
	_, err = db.RepositoriesWithLifecycle(ctx, "", 10)
	do("RepositoriesWithLifecycle", err)
	p := lifecycle.NewPruner(db, lifecycle.Options{})
	for range 2 {
		_, err = e.StartLifecyclePreview(ctx, repo, nil)
		do("StartLifecyclePreview", err)
		j, err := db.LeaseJob(ctx, []string{lifecycle.PreviewJob}, time.Minute)
		do("LeaseJob", err)
		do("a preview", p.Previews()[lifecycle.PreviewJob].Do(ctx, j))
	}
	for _, q := range []registry.PreviewQuery{
		{Limit: 10}, {Limit: 10, Status: registry.Tagged}, {Limit: 10, Status: registry.Untagged}, {Digests: []digest.Digest{one.Digest}},
	} {
		preview, _, err := e.LifecyclePreview(ctx, repo, q)
		do("LifecyclePreview", err)
		if preview.Status != registry.PreviewComplete {
			t.Errorf("the preview is %s", preview.Status)
		}
	}
	run, err := db.BeginLifecycleRun(ctx, repo, false, time.Hour)
	do("BeginLifecycleRun", err)
	s, err := db.LifecycleSnapshot(ctx, repo)
	do("LifecycleSnapshot", err)
	var steps []lifecycle.Step
	for i := range s.Images {
		if image := &s.Images[i]; image.Digest != two.Digest && image.Subject == "" {
			d := lifecycle.Decision{Image: image, Rule: 1, Action: lifecycle.Transition}
			steps = append(steps, lifecycle.Step{Decisions: []lifecycle.Decision{d}, Known: []digest.Digest{signature.Digest}})
		}
	}
	steps[0].Decisions[0].Action, steps[0].Decisions[0].Tags = lifecycle.Expire, steps[0].Decisions[0].Image.Tags
	applied, err := db.ApplyLifecycle(ctx, run, nil, steps)
	do("ApplyLifecycle", err)
	if applied != (lifecycle.Applied{Archived: 1, Untagged: 1}) {
		t.Errorf("applied: %+v", applied)
	}
	for state, soon := range map[lifecycle.State]time.Duration{lifecycle.Done: time.Minute, lifecycle.Stopped: 0, lifecycle.Failed: 0} {
		run.State = state
		_, err = db.EndLifecycleRun(ctx, run, soon)
		do("EndLifecycleRun", err)
	}
	if _, err := p.RunNow(ctx, repo, false); err != nil {
		t.Errorf("RunNow: %v", err)
	}
	for before := range int64(2) {
		_, err = db.LifecycleRuns(ctx, repo, before, 10)
		do("LifecycleRuns", err)
		_, err = db.LifecycleEvents(ctx, repo, before, 10)
		do("LifecycleEvents", err)
	}
}

// TestForgetLifecycle: what is old goes a little at a time, and so do the results of previews.
func TestForgetLifecycle(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		ctx := t.Context()
		db := open(t)
		e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true})
		prune(t, db, e, func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		})
		rest := func() (n int) {
			t.Helper()
			runs, err := db.LifecycleRuns(ctx, "pruned", 0, 100)
			events, eventsErr := db.LifecycleEvents(ctx, "pruned", 0, 100)
			if err := errors.Join(err, eventsErr); err != nil {
				t.Fatal(err)
			}
			return len(runs) + len(events)
		}
		all := rest()
		forget := func(age time.Duration) {
			t.Helper()
			for n := 1; n > 0; {
				var err error
				if n, err = db.ForgetLifecycle(ctx, age, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		forget(time.Hour)
		if n := rest(); n != all || all < 4 {
			t.Errorf("%d of %d young rows are left", n, all)
		}
		if p, _, err := e.LifecyclePreview(ctx, "pruned", registry.PreviewQuery{Limit: 10}); err != nil || len(p.Images) == 0 {
			t.Errorf("a preview that is not a day old: %+v, %v", p, err)
		}
		forget(-time.Hour)
		if n := rest(); n != 0 {
			t.Errorf("%d of %d old rows are left", n, all)
		}
	})
}
