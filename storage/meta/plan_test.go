package meta_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/scan/scantest"
	"berth/scan/vex"
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
	regexp.MustCompile(`FROM blobs WHERE object_key LIKE 'lost:%' LIMIT 1$`), // an index of what is lost
	regexp.MustCompile(`FROM clusters`),                                        // a thousand at most
	regexp.MustCompile(`FROM holds`),                                           // as many as there are backups
	regexp.MustCompile(`^SELECT state, count`),                                 // for metrics, and only an index
	regexp.MustCompile(`FROM quotas`),                                          // as many as somebody has set
	regexp.MustCompile(`FROM scan_workers WHERE`),                              // as many as there were within a day
	regexp.MustCompile(`^SELECT coalesce\(sum\(size\), 0\) FROM scan_layers$`), // once an hour, and only an index
	regexp.MustCompile(`^SELECT layer_key, size, used_at FROM scan_layers`),    // likewise, from its beginning to a limit
	regexp.MustCompile(`^SELECT status, database, count`),                      // for berth scan status and metrics, and only an index
	regexp.MustCompile(`FROM \(SELECT 1 FROM jobs WHERE kind = \? AND state <> 'failed' LIMIT \?\) waiting$`),
	regexp.MustCompile(`FROM vulnerability_databases`),                  // two at most
	regexp.MustCompile(`FROM database_updates`),                         // likewise
	regexp.MustCompile(`^SELECT 1 FROM scans LIMIT 1$`),                 // the first of any
	regexp.MustCompile(`FROM scan_gates ORDER BY`),                      // as many as somebody has set
	regexp.MustCompile(`FROM scan_exceptions WHERE expires_at IS NULL`), // all that are in force
	// What is counted anew, and what fsck compares.
	regexp.MustCompile(`^SELECT '(bytes of the registry|(unique|shared) bytes of |(bytes|links) under the quota )'`),
	regexp.MustCompile(`^INSERT INTO quota_(blobs|usage) \([a-z_, ]+\)\s+SELECT`),
	// The repositories that share one blob, for a mount that does not say from where.
	regexp.MustCompile(`^SELECT r.name\s+FROM blobs b\s+JOIN repository_blobs`),
}

// costly are steps through a whole table, and sorting; that of "SCAN CONSTANT ROW" is none.
var costly = regexp.MustCompile(`(?m)\bSCAN [a-z]|TEMP B-TREE|Seq Scan|(^|-> +)Sort\b`)

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
			// An incremental sort is of what comes in order but for the last column, such as the
			// tags of one image.
			plan := strings.ReplaceAll(strings.Join(steps, "\n"), "Incremental Sort", "in order")
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
	case "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "SET":
		return true
	}
	return false
}

// administer asks what an [registry.Admin] can be asked.
func administer(t *testing.T, db *meta.DB, e *engine.Engine, do func(string, error)) {
	ctx := t.Context()
	_, err := e.CreateRepository(ctx, "kept", registry.Settings{ResourceTags: map[string]string{"k": "v"}})
	do("CreateRepository", err)
	image := registrytest.Recipe{Seed: 9}.Image()
	for _, b := range image.Blobs {
		_, err := e.PutBlob(ctx, "kept", b.Chunk(), b.Digest)
		do("PutBlob", err)
	}
	_, err = e.PutImage(ctx, "kept", image.Manifest, "a")
	do("PutImage", err)
	_, err = e.ChangeSettings(ctx, "kept", func(s *registry.Settings) error { s.Mutability.Mode = registry.Immutable; return nil })
	do("ChangeSettings", err)
	_, err = e.PutManifest(ctx, "kept", image.Manifest, []registry.Tag{"a", "b"})
	do("PutManifest", err)
	_, err = e.DescribeRepositories(ctx, "", 10)
	do("DescribeRepositories", err)
	for _, s := range []registry.TagStatus{"", registry.Tagged, registry.Untagged} {
		_, _, err = e.Images(ctx, "kept", registry.ImagesQuery{Status: s, Limit: 10})
		do("Images", err)
		_, _, err = e.ImageIDs(ctx, "kept", registry.ImagesQuery{Status: s, Limit: 10})
		do("ImageIDs", err)
	}
	_, err = e.LayerReferenced(ctx, "kept", image.Blobs[0].Digest)
	do("LayerReferenced", err)
	_, err = e.Manifest(ctx, "kept", registry.Reference{Tag: "a"})
	do("Manifest", err)
	_, err = e.ExcludePullTime(ctx, "arn:x", 10)
	do("ExcludePullTime", err)
	stopped, stop := context.WithCancel(ctx)
	stop()
	e.RecordPulls(stopped)
	do("IncludePullTime", e.IncludePullTime(ctx, "arn:x"))
	for range 2 {
		_, err = e.SetRepositoryPolicy(ctx, "kept", []byte("{}"))
	}
	do("SetRepositoryPolicy", err)
	_, err = e.SetSetting(ctx, registry.ScanningSetting, []byte("{}"))
	do("SetSetting", err)
	_, err = e.SetSetting(ctx, registry.ScanningSetting, nil)
	do("SetSetting", err)
	for _, runs := range [][]registry.ImageRef{{{Repository: "kept", Digest: image.Digest}}, nil} {
		_, err = e.SetRunning(ctx, "prod", runs)
		do("SetRunning", err)
	}
	_, err = db.AnyLost(ctx)
	do("AnyLost", err)
	_, err = db.LostBlob(ctx, "kept", image.Digest)
	do("LostBlob", err)
	_, err = db.RunningIn(ctx, "kept")
	do("RunningIn", err)
	_, err = e.Clusters(ctx, "", 10)
	do("Clusters", err)
	_, err = e.RunningImages(ctx, "prod", registry.ImageRef{}, 10)
	do("RunningImages", err)
	do("RemoveCluster", e.RemoveCluster(ctx, "prod"))
	_, err = e.AddCreationTemplate(ctx, registry.CreationTemplate{Prefix: "t", AppliedFor: []string{registry.CreateOnPush}})
	do("AddCreationTemplate", err)
	_, err = e.ChangeCreationTemplate(ctx, "t", func(t *registry.CreationTemplate) error { t.Policy = "{}"; return nil })
	do("ChangeCreationTemplate", err)
	_, err = e.PutBlob(ctx, "t/made", image.Blobs[0].Chunk(), image.Blobs[0].Digest)
	do("PutBlob", err)
	_, err = e.Image(ctx, "kept", registry.ImageID{Tag: "a"})
	do("Image", err)
	_, err = e.CreationTemplates(ctx, "", 10)
	do("CreationTemplates", err)
	_, err = e.DeleteCreationTemplate(ctx, "t")
	do("DeleteCreationTemplate", err)
	do("SetQuota", e.SetQuota(ctx, "kept", 1<<30))
	do("SetQuota", e.SetQuota(ctx, "kept", 1<<31))
	_, err = e.Quotas(ctx)
	do("Quotas", err)
	_, err = e.PutBlob(ctx, "kept", image.Blobs[0].Chunk(), image.Blobs[0].Digest)
	do("PutBlob", err)
	other := registrytest.Recipe{Seed: 10}.Image()
	_, err = e.PutBlob(ctx, "kept", other.Blobs[0].Chunk(), other.Blobs[0].Digest)
	do("PutBlob", err)
	_, err = e.RegistryUsage(ctx)
	do("RegistryUsage", err)
	_, err = e.RepositoryUsage(ctx, "kept")
	do("RepositoryUsage", err)
	for _, ref := range []registry.Reference{{}, {Tag: "a"}, image.Reference()} {
		_, err = e.Freed(ctx, "kept", ref)
		do("Freed", err)
	}
	do("DeleteBlob", e.DeleteBlob(ctx, "kept", other.Blobs[0].Digest))
	_, err = e.DeleteImage(ctx, "kept", registry.ImageID{Tag: "a"})
	do("DeleteImage", err)
	_, err = e.DeleteImage(ctx, "kept", registry.ImageID{Digest: image.Digest})
	do("DeleteImage", err)
	do("RemoveQuota", e.RemoveQuota(ctx, "kept"))
}

// rule asks what a gate asks, and what administers it.
func rule(t *testing.T, db *meta.DB, e *engine.Engine, do func(string, error)) {
	ctx := t.Context()
	image := registrytest.Recipe{Seed: 20}.Image()
	push(t, e, "ruled", registrytest.Recipe{}.Index(image), "v1")
	on := image.Descriptor()
	doc := document("application/openvex+json", openVEX("fixed", "pkg:oci/ruled"), &on)
	push(t, e, "ruled", doc)
	do("Read", vex.NewReader(db, e).Read(ctx, scan.VEXPayload{Repository: "ruled", Digest: doc.Digest}))
	_, err := db.VEXDocuments(ctx, "ruled", scan.VEXDocument{}, 10)
	do("VEXDocuments", err)
	do("find", scantest.Find(ctx, db, "ruled", image.Digest, finding("CVE-1", scan.High, "", time.Time{})))
	do("PutGate", db.PutGate(ctx, scan.Gate{Repository: "*", Mode: scan.Block, Severity: scan.High}))
	x, err := db.AddException(ctx, scan.Exception{Vulnerability: "CVE-1", Repository: "*"})
	do("AddException", err)
	for _, ref := range []registry.Reference{{Tag: "v1"}, image.Reference()} {
		_, err = scan.NewGatekeeper(db, nil).Judge(ctx, "ruled", ref)
		do("Judge", err)
	}
	_, err = db.Exceptions(ctx, 0, 10)
	do("Exceptions", err)
	_, err = db.DeleteException(ctx, x.ID)
	do("DeleteException", err)
	do("DeleteGate", db.DeleteGate(ctx, "*"))
	do("UpdateTrends", scan.Trends{Store: db}.Update(ctx))
	_, err = db.Trend(ctx, "ruled", time.Now())
	do("Trend", err)
	do("DeleteRepository", e.DeleteRepository(ctx, "ruled", true))
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
	administer(t, db, e, do)
	scanDatabases(t, db, e, do)
	undo(t, db, e, do)
	prune(t, db, e, do)
	rule(t, db, e, do)
	scanEverything(t, db, e, do)
	for _, age := range []time.Duration{time.Hour, -time.Hour} {
		_, err := db.ForgetLifecycle(ctx, age, 10)
		do("ForgetLifecycle", err)
	}
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
	for _, kinds := range [][]string{nil, {"application/vnd.example"}, {"x", "y"}} {
		e.Referrers(ctx, "a", registry.ReferrersQuery{Subject: subject.Digest, ArtifactTypes: kinds, Limit: 10})
	}
	_, err = e.Inspect(ctx, engine.Check{Found: func(engine.Problem) error { return nil }})
	do("Inspect", err)

	e.DeleteBlob(ctx, "a", image.Blobs[0].Digest)
	do("DeleteBlob", e.DeleteBlob(ctx, "b", image.Blobs[0].Digest))
	e.DeleteManifest(ctx, "a", image.Digest)
	do("DeleteTag", e.DeleteTag(ctx, "a", "latest"))
	do("DeleteManifest", e.DeleteManifest(ctx, "a", index.Digest))
	do("DeleteRepository", e.DeleteRepository(ctx, "a", true))
	do("DeleteRepository", e.DeleteRepository(ctx, "pruned", true))
	_, err = db.ForgetLifecycle(ctx, time.Hour, 10)
	do("ForgetLifecycle", err)

	do("CreateAccount", db.CreateAccount(ctx, auth.Account{Name: "ci", Kind: auth.Robot}))
	do("UpdateAccount", db.UpdateAccount(ctx, "ci", func(*auth.Account) error { return nil }))
	do("PutPolicy", db.PutPolicy(ctx, auth.StoredPolicy{Name: "p"}))
	do("Attach", db.Attach(ctx, "ci", "p"))
	for _, id := range []string{"a", "b"} {
		do("CreateAccessKey", db.CreateAccessKey(ctx, accesskey.Key{ID: id, Account: "ci", Sealed: []byte("x")}, 2))
	}
	do("SetAccessKeyDisabled", db.SetAccessKeyDisabled(ctx, "a", true))
	do("ResealAccessKey", db.ResealAccessKey(ctx, "a", []byte("y")))
	do("UseAccessKey", db.UseAccessKey(ctx, "a", time.Now(), time.Minute))
	db.AccessKey(ctx, "a")
	db.AccessKeys(ctx, "ci")
	db.AllAccessKeys(ctx, "", 10)
	do("DeleteAccessKey", db.DeleteAccessKey(ctx, "a"))
	db.Account(ctx, "ci")
	db.Accounts(ctx, "", "", 10)
	db.Accounts(ctx, auth.Role, "", 10)
	db.Resources(ctx, "", 10, true)
	db.Policy(ctx, "p")
	db.Policies(ctx, "", 10)
	db.Attachments(ctx, "ci")
	db.Generation(ctx)
	for _, tagged := range []bool{false, true} {
		_, err = db.Resources(ctx, "", 10, tagged)
		do("Resources", err)
	}
	_, err = db.Resource(ctx, "a")
	do("Resource", err)
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
