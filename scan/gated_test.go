package scan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry"
	"berth/registry/oci"
	"berth/registry/registrytest"
	"berth/scan"
	"berth/storage/meta/pgtest"
)

// TestGatedOverHTTP asks engine, gate, guard and face for an image as those do who pull, who
// push, and who scan.
func TestGatedOverHTTP(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { gatedOverHTTP(t, "sqlite:"+filepath.Join(t.TempDir(), "berth.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { gatedOverHTTP(t, pgtest.Database(t)) })
}

func gatedOverHTTP(t *testing.T, url string) {
	var findings []scan.Finding
	for i := range 7 {
		findings = append(findings, found(fmt.Sprint("CVE-", i), scan.High, "2.0", 0))
	}
	findings[0].Severity, findings[0].Fixed, findings[0].Package.Name = scan.Critical, "", "open\x1b[31mssl\r\nX: <b>é"
	db, e, i := scannedImage(t, url, findings...)
	ctx := t.Context()
	for name, policy := range map[string]string{"puller": auth.PullOnly, "pusher": auth.PowerUser} {
		if err := db.CreateAccount(ctx, auth.Account{Name: name, Kind: auth.User}, policy); err != nil {
			t.Fatal(err)
		}
	}
	access, err := auth.NewAccess(db, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var caught []scan.Verdict
	gated := scan.Gated(e, scan.NewGatekeeper(db, nil), func(_ context.Context, v scan.Verdict) { caught = append(caught, v) })
	face := oci.New(auth.Guard(gated, access), oci.Options{
		Authenticate: func(r *http.Request) (auth.Principal, error) {
			p := auth.Principal{Name: r.Header.Get("Who"), Kind: auth.User}
			if r.Header.Get("Pull-Token") != "" {
				p.Limited, p.Scopes = true, []auth.Scope{{Type: "repository", Name: "team/app", Actions: []string{auth.Pull}}}
			}
			return p, nil
		},
		Challenge: func(*http.Request, error) string { return "Basic" },
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Scanner") != "" {
			r = r.WithContext(registry.WithScanner(r.Context()))
		}
		face.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ask := func(method, who, ref string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, server.URL+"/v2/team/app/manifests/"+ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Who", who)
		for _, h := range header {
			r.Header.Set(h, "yes")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(body)
	}
	want := func(status int, method, who, ref string, header ...string) (*http.Response, string) {
		t.Helper()
		answer, body := ask(method, who, ref, header...)
		if answer.StatusCode != status {
			t.Errorf("%s of %s by %s %v: %s\n%s; want %d", method, ref, who, header, answer.Status, body, status)
		}
		return answer, body
	}
	all := func(statuses map[string]int) {
		t.Helper()
		for _, ref := range []string{"v1", string(i.Digest)} {
			want(statuses["GET puller"], "GET", "puller", ref)
			want(statuses["HEAD puller"], "HEAD", "puller", ref)
			want(statuses["GET pusher"], "GET", "pusher", ref)
			want(statuses["HEAD pusher"], "HEAD", "pusher", ref)
			want(200, "GET", "puller", ref, "Scanner")
			want(200, "HEAD", "puller", ref, "Scanner")
		}
	}
	put := func(g scan.Gate) {
		t.Helper()
		if err := db.PutGate(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	passes := map[string]int{"GET puller": 200, "HEAD puller": 200, "GET pusher": 200, "HEAD pusher": 200}
	all(passes)
	gate := scan.Gate{Repository: "team/*", Mode: scan.Block, Severity: scan.High}
	put(gate)
	all(map[string]int{"GET puller": 403, "HEAD puller": 403, "GET pusher": 403, "HEAD pusher": 200})
	if len(caught) != 6 || caught[0].Digest != i.Digest || caught[0].Total != 7 || !caught[0].Blocked() {
		t.Errorf("told of refusals were %d: %+v", len(caught), caught)
	}
	want(404, "GET", "puller", "v2")
	want(401, "GET", "stranger", "v1")
	want(200, "HEAD", "pusher", "v1", "Pull-Token") // before it asks for one for pushing
	want(403, "HEAD", "puller", "v1", "Pull-Token")
	if answer, _ := want(200, "HEAD", "pusher", "v1"); answer.Header.Get("Warning") != "" {
		t.Errorf("who pushes is warned: %v", answer.Header)
	}

	// The refusal says what is wrong and what to do, and nothing in it does anything to a terminal.
	_, body := want(403, "GET", "puller", "v1")
	var said struct {
		Errors []struct {
			Code    registry.Code
			Message string
			Detail  struct {
				Gate     string
				Total    int
				Findings []scan.GateFinding
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil || len(said.Errors) != 1 {
		t.Fatalf("%s: %v", body, err)
	}
	refusal := said.Errors[0]
	for _, part := range []string{
		"team/app@" + string(i.Digest), "CVE-0 (CRITICAL) in open?[31mssl??X: <b>é 1, without a fix; CVE-1 (HIGH) in openssl 1, fixed in 2.0;",
		"CVE-4", "and 2 more", "team/*", "berth scan exception add CVE-0 --repository team/app",
	} {
		if !strings.Contains(refusal.Message, part) {
			t.Errorf("%q is not in %q", part, refusal.Message)
		}
	}
	if refusal.Code != registry.CodeDenied || strings.Contains(refusal.Message, "CVE-5") || refusal.Detail.Gate != "team/*" ||
		refusal.Detail.Total != 7 || len(refusal.Detail.Findings) != 7 {
		t.Errorf("the refusal is %+v", refusal)
	}

	// A warning says the same, as far as a header can, and the pull goes on.
	gate.Mode, caught = scan.Warn, nil
	put(gate)
	all(passes)
	for _, method := range []string{"GET", "HEAD"} {
		answer, _ := want(200, method, "puller", "v1")
		if w := answer.Header.Get("Warning"); !strings.HasPrefix(w, `299 - "team/app@`) || !strings.Contains(w, "CVE-0 (CRITICAL) in open?[31mssl??X: <b>? 1") {
			t.Errorf("%s: the warning is %q", method, w)
		}
	}
	if len(caught) != 5 || slices.ContainsFunc(caught, scan.Verdict.Blocked) { // four of all, and one
		t.Errorf("told of warnings were %d: %+v", len(caught), caught)
	}

	// What nobody has scanned passes unless the gate wants it scanned; artifacts and indexes do.
	gate.Mode, gate.Severity, gate.Scanned = scan.Block, scan.Critical, true
	put(gate)
	other := registrytest.Recipe{Seed: 2}.Image()
	index := registrytest.Recipe{}.Index(other)
	artifact := registrytest.Recipe{Seed: 3, ArtifactType: "application/vnd.example"}.Image()
	for _, x := range []registrytest.Image{other, index, artifact} {
		for _, b := range x.Blobs {
			if _, err := e.PutBlob(ctx, "team/app", b.Chunk(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.PutManifest(ctx, "team/app", x.Manifest, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := want(403, "GET", "puller", string(other.Digest)); !strings.Contains(body, "never scanned") || !strings.Contains(body, "berth scan run team/app@") {
		t.Errorf("it is refused with %s", body)
	}
	want(200, "GET", "puller", string(index.Digest))
	want(200, "GET", "puller", string(artifact.Digest))

	// A repository of its own is let pass by the more specific gate.
	put(scan.Gate{Repository: "team/app", Mode: scan.Off, Severity: scan.High})
	all(passes)

	// When nobody can decide nothing passes.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if answer, body := ask(method, "puller", "v1"); answer.StatusCode < 500 {
			t.Errorf("without a database: %s\n%s", answer.Status, body)
		}
	}
}
