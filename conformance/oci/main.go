// Command oci runs conformance suites of the OCI distribution-spec against berth, with every switch of theirs on: that of
// the current draft and, if it is asked for, the released v1.1.1, which people run to compare registries.
//
//	go run ./conformance/oci -berth bin/berth
//
// It starts the binary on a free port with an empty data folder and authentication on, or several on PostgreSQL and S3,
// runs `go tool conformance` from the module's root, and ends with an error unless everything passed: a test that failed
// counts, and so does one that was skipped because the registry lacks something or disabled because nobody asked for it.
// With -url it tests a registry that runs already.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"

	"berth/conformance/internal/cluster"
	"berth/conformance/internal/server"
)

// options is the command line.
type options struct {
	berth    string
	replicas int
	url      string
	user     string
	password string
	results  string
	draft    string
	released string
}

func main() {
	var o options
	flag.StringVar(&o.berth, "berth", "bin/berth", "the berth `binary` to start")
	flag.IntVar(&o.replicas, "replicas", 0, "start as `many` on PostgreSQL and S3, behind a proxy that turns from one to the next; 0 means one on its own disk")
	flag.StringVar(&o.url, "url", "", "test the registry at this `URL` instead of starting berth")
	flag.StringVar(&o.user, "user", "", "with -url: log in as this user")
	flag.StringVar(&o.password, "password", "", "with -url: and this password")
	flag.StringVar(&o.results, "results", "results/oci", "`folder` for junit.xml, report.html and results.yaml")
	flag.StringVar(&o.draft, "draft", "go tool conformance", "the `command` that is the suite of the draft; empty leaves it out")
	flag.StringVar(&o.released, "released", "", "the `command` that is the released suite, which install.sh builds; empty leaves it out")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// sparse is for the suite's indexes that name absent platforms, which are refused unless the repository allows them.
var sparse = []string{"--sparse", "conformance/*"}

// run tests the registry that o names, or a berth that lives as long as the test.
func run(ctx context.Context, o options) (err error) {
	if o.url == "" && o.replicas > 0 {
		c, stop, err := cluster.Temporary(ctx, cluster.Options{Berth: o.berth, Replicas: o.replicas, Args: sparse})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		o.url, o.user, o.password = "http://"+c.Front.Addr, server.User, server.Password
	}
	if o.url == "" {
		dir, err := os.MkdirTemp("", "berth-conformance-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b, err := server.StartBerth(ctx, o.berth, filepath.Join(dir, "data"), server.Options{
			Args: sparse,
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Stop()) }()
		o.url, o.user, o.password = "http://"+b.Addr, server.User, server.Password
	}
	return runSuites(ctx, o)
}

// runSuites runs those that o asks for, the second also if the first has failed.
func runSuites(ctx context.Context, o options) error {
	u, err := url.Parse(o.url)
	if err != nil {
		return err
	}
	results, err := filepath.Abs(o.results)
	if err != nil {
		return err
	}
	released := filepath.Join(results, "v1.1.1")
	var failed error
	for _, s := range []suite{
		{name: "the draft", command: o.draft, results: results, env: draftEnvironment(o, u, results)},
		{name: "v1.1.1", command: o.released, results: released, env: releasedEnvironment(o, u, released), unasked: alternatives},
	} {
		if s.command == "" {
			continue
		}
		if err := s.run(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return failed
}

// draftEnvironment turns every switch of the draft's suite on, by name, so that what is tested does not depend on its
// defaults.
func draftEnvironment(o options, u *url.URL, results string) []string {
	tls := "enabled"
	if u.Scheme == "http" {
		tls = "disabled"
	}
	env := []string{
		"OCI_REGISTRY=" + u.Host,
		"OCI_TLS=" + tls,
		"OCI_REPO1=conformance/repo1",
		"OCI_REPO2=conformance/repo2",
		"OCI_USERNAME=" + o.user,
		"OCI_PASSWORD=" + o.password,
		"OCI_VERSION=dev",
		"OCI_RESULTS_DIR=" + results,
	}
	for _, s := range switches {
		env = append(env, "OCI_"+s+"=true")
	}
	return env
}

// releasedEnvironment asks for all four workflows of the released suite, and for mounts that name no source.
func releasedEnvironment(o options, u *url.URL, results string) []string {
	return []string{
		"OCI_ROOT_URL=" + u.Scheme + "://" + u.Host,
		"OCI_NAMESPACE=conformance/released1",
		"OCI_CROSSMOUNT_NAMESPACE=conformance/released2",
		"OCI_AUTOMATIC_CROSSMOUNT=1",
		"OCI_USERNAME=" + o.user,
		"OCI_PASSWORD=" + o.password,
		"OCI_TEST_PULL=1",
		"OCI_TEST_PUSH=1",
		"OCI_TEST_CONTENT_DISCOVERY=1",
		"OCI_TEST_CONTENT_MANAGEMENT=1",
		"OCI_REPORT_DIR=" + results,
	}
}

// alternatives are the tests of v1.1.1 that are skipped because their counterpart is run: for registries that refuse a
// mount or do not look for a source, and for those that nothing may be pushed to.
var alternatives = []string{
	"OCI Distribution Conformance Tests Pull Setup Get tag name from environment",
	"OCI Distribution Conformance Tests Push Cross-Repository Blob Mount Cross-mounting of nonexistent blob should yield session id",
	"OCI Distribution Conformance Tests Push Cross-Repository Blob Mount Cross-mounting without from, and automatic content discovery disabled should return a 202",
	"OCI Distribution Conformance Tests Content Discovery Setup Populate registry with test tags (no push)",
}

// switches are those of the draft's suite, from its README.
var switches = []string{
	"API_PULL",
	"API_PUSH",
	"API_BLOBS_ATOMIC",
	"API_BLOBS_DELETE",
	"API_BLOBS_DIGEST_HEADER",
	"API_BLOBS_MOUNT_ANONYMOUS",
	"API_BLOBS_UPLOAD_CANCEL",
	"API_MANIFESTS_ATOMIC",
	"API_MANIFESTS_DELETE",
	"API_MANIFESTS_DIGEST_HEADER",
	"API_MANIFESTS_TAG_PARAM",
	"API_TAGS_ATOMIC",
	"API_TAGS_DELETE",
	"API_TAGS_LIST",
	"API_REFERRER",
	"DATA_IMAGE",
	"DATA_INDEX",
	"DATA_INDEX_LIST",
	"DATA_SPARSE",
	"DATA_ARTIFACT",
	"DATA_SUBJECT",
	"DATA_SUBJECT_MISSING",
	"DATA_ARTIFACT_LIST",
	"DATA_SUBJECT_LIST",
	"DATA_DATA_FIELD",
	"DATA_NONDISTRIBUTABLE",
	"DATA_CUSTOM_FIELDS",
	"DATA_NO_LAYERS",
	"DATA_EMPTY_BLOB",
	"DATA_SHA512",
}
