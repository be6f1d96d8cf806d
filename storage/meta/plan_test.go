package meta_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta"
	"berth/storage/queue"
)

// walks are statements that may look at more than they return: they are rare, or
// what they look at is small.
var walks = []*regexp.Regexp{
	regexp.MustCompile(`^SELECT object_key FROM`), // fsck looks at everything
	regexp.MustCompile(`FROM signing_keys ORDER BY`),
	regexp.MustCompile(`FROM account_policies WHERE policy = \?`), // when a policy is deleted
	// The indexes that hold one manifest, when that is deleted.
	regexp.MustCompile(`FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id\s+WHERE e.repository_id = \? AND e.digest = \?`),
	regexp.MustCompile(`FROM holds`),           // as many as there are backups
	regexp.MustCompile(`^SELECT state, count`), // for metrics, and only an index
	// The repositories that share one blob, for a mount that does not say from where.
	regexp.MustCompile(`^SELECT r.name\s+FROM blobs b\s+JOIN repository_blobs`),
}

// costly are steps through a whole table, and sorting; that of "SCAN CONSTANT ROW" is none.
var costly = regexp.MustCompile(`\bSCAN [a-z]|TEMP B-TREE|Seq Scan|\bSort\b`)

// TestPlans lets the registry do everything it can and asks how each statement is
// carried out. Lists go on by key: the millionth page has to cost what the first does.
func TestPlans(t *testing.T) {
	onBoth(t, func(t *testing.T, open func(t *testing.T) *meta.DB) {
		db := open(t)
		everything(t, db)
		queries := meta.Queries(db)
		if len(queries) < 50 {
			t.Errorf("only %d statements were run", len(queries))
		}
		for _, query := range queries {
			if isCommand(query) {
				continue
			}
			steps, err := meta.Plan(t.Context(), db, query)
			if err != nil {
				t.Errorf("%v\n%s", err, query)
				continue
			}
			plan := strings.Join(steps, "\n")
			walk := false
			for _, w := range walks {
				walk = walk || w.MatchString(query)
			}
			if !walk && costly.MatchString(plan) {
				t.Errorf("%s\n is carried out as\n%s", query, plan)
			}
		}
	})
}

// isCommand reports whether a statement is one that has no plan.
func isCommand(query string) bool {
	word, _, _ := strings.Cut(query, " ")
	switch word {
	case "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA":
		return true
	}
	return false
}

func everything(t *testing.T, db *meta.DB) {
	ctx := t.Context()
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	e := engine.New(db, mem.New(), engine.Options{CreateOnPush: true, MaxSmallBlob: 100, AllowSparse: func(n registry.Name) bool { return n == "sparse" }})
	image := registrytest.Recipe{Seed: 1}.Image()
	subject := image.Descriptor()
	referrer := registrytest.Recipe{Seed: 2, Layers: -1, Subject: &subject}.Image()
	index := registrytest.Recipe{}.Index(image)
	cache := registrytest.Recipe{Seed: 1}.Cache()
	for _, i := range []registrytest.Image{image, referrer, index, cache} {
		for _, b := range i.Blobs {
			_, err := e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
			do("PutBlob", err)
			_, err = e.MountBlob(ctx, "b", "", b.Digest)
			do("MountBlob", err)
		}
		_, err := e.PutManifest(ctx, "a", i.Manifest, []registry.Tag{"latest"})
		do("PutManifest", err)
		_, err = e.PutManifest(ctx, "sparse", i.Manifest, nil)
		do("PutManifest", err)
	}
	u, err := e.StartUpload(ctx, "a", digest.SHA256)
	do("StartUpload", err)
	_, err = e.AppendUpload(ctx, "a", u.ID, image.Blobs[0].Chunk())
	do("AppendUpload", err)
	do("ExpireUploads", e.ExpireUploads(ctx, time.Now().Add(time.Hour), false, func(engine.Expired) {}))

	for _, ref := range []registry.Reference{{Tag: "latest"}, image.Reference(), {Tag: "none"}} {
		e.StatManifest(ctx, "a", ref)
		e.Manifest(ctx, "a", ref)
	}
	e.OpenBlob(ctx, "a", image.Blobs[0].Digest, registry.Span{})
	e.OpenBlob(ctx, "none", image.Blobs[0].Digest, registry.Span{})
	e.Repositories(ctx, "", 10)
	e.Tags(ctx, "a", "", 10)
	e.BlobRepositories(ctx, image.Blobs[0].Digest, "", 10)
	for _, kind := range []string{"", "application/vnd.example"} {
		e.Referrers(ctx, "a", registry.ReferrersQuery{Subject: subject.Digest, ArtifactType: kind, Limit: 10})
	}
	_, err = e.Inspect(ctx, engine.Check{Found: func(engine.Problem) error { return nil }})
	do("Inspect", err)

	e.DeleteBlob(ctx, "a", image.Blobs[0].Digest)
	do("DeleteBlob", e.DeleteBlob(ctx, "b", image.Blobs[0].Digest))
	e.DeleteManifest(ctx, "a", image.Digest)
	do("DeleteTag", e.DeleteTag(ctx, "a", "latest"))
	do("DeleteManifest", e.DeleteManifest(ctx, "a", index.Digest))
	do("DeleteRepository", e.DeleteRepository(ctx, "a", true))

	do("CreateAccount", db.CreateAccount(ctx, auth.Account{Name: "ci", Kind: auth.Robot}))
	do("UpdateAccount", db.UpdateAccount(ctx, "ci", func(*auth.Account) error { return nil }))
	do("PutPolicy", db.PutPolicy(ctx, auth.StoredPolicy{Name: "p"}))
	do("Attach", db.Attach(ctx, "ci", "p"))
	db.Account(ctx, "ci")
	db.Accounts(ctx, "", 10)
	db.Policy(ctx, "p")
	db.Policies(ctx, "", 10)
	db.Attachments(ctx, "ci")
	db.Generation(ctx)
	do("Detach", db.Detach(ctx, "ci", "p"))
	do("DeletePolicy", db.DeletePolicy(ctx, "p"))
	do("DeleteAccount", db.DeleteAccount(ctx, "ci"))
	do("Enqueue", db.Update(ctx, enqueue(ctx, queue.NewJob{Kind: "k", Key: "1"}, queue.NewJob{Kind: "k", Key: "2", DueAt: time.Now()}, queue.NewJob{Kind: "k"})))
	lease := func() queue.Job {
		t.Helper()
		j, err := db.LeaseJob(ctx, []string{"k", "l"}, time.Minute)
		do("LeaseJob", err)
		return j
	}
	j := lease()
	do("Enqueue", db.Update(ctx, enqueue(ctx, queue.NewJob{Kind: "k", Key: j.Key})))
	do("ExtendJob", db.ExtendJob(ctx, j, time.Minute))
	do("RetryJob", db.RetryJob(ctx, j, 0, "no"))
	do("PostponeJob", db.PostponeJob(ctx, lease(), 0, "too early"))
	do("ReleaseJob", db.ReleaseJob(ctx, lease()))
	j = lease()
	do("GiveUpJob", db.GiveUpJob(ctx, j, "no"))
	do("RequeueJob", db.RequeueJob(ctx, j.ID))
	db.RequeueJob(ctx, 12345)
	_, err = db.RequeueFailedJobs(ctx)
	do("RequeueFailedJobs", err)
	do("FinishJob", db.FinishJob(ctx, lease()))
	db.CountJobs(ctx)
	for _, f := range []queue.Filter{{}, {State: queue.Failed}, {Kind: "k"}, {Kind: "k", State: queue.Waiting}} {
		db.Jobs(ctx, f, 0, 10)
	}
	_, err = db.WithLease(ctx, "l", 30*time.Millisecond, func(context.Context) error {
		time.Sleep(50 * time.Millisecond)
		return nil
	})
	do("Hold", err)
	do("AddHold", db.AddHold(ctx, "a", time.Hour))
	_, err = db.Holds(ctx)
	do("Holds", err)
	_, _, err = db.Held(ctx, time.Now())
	do("Held", err)
	do("ReleaseHold", db.ReleaseHold(ctx, "a"))

	do("AddKey", db.AddKey(ctx, token.Key{ID: "k", Private: []byte("x"), CreatedAt: time.Now()}))
	db.Keys(ctx)
	do("DeleteKey", db.DeleteKey(ctx, "k"))
}
