// Command oci runs the conformance suite of the OCI distribution-spec against berth, with every switch of the suite on.
//
//	go run ./conformance/oci -berth bin/berth
//
// It starts the binary on a free port with an empty data folder and authentication on, runs `go tool conformance` from
// the module's root and ends with an error unless everything passed: a test that failed counts, and so does one that
// was skipped because the registry lacks something or disabled because nobody asked for it. With -url it tests a
// registry that runs already.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

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
	suite    string
}

func main() {
	var o options
	flag.StringVar(&o.berth, "berth", "bin/berth", "the berth `binary` to start")
	flag.IntVar(&o.replicas, "replicas", 0, "start as `many` on PostgreSQL and S3, behind a proxy that turns from one to the next; 0 means one on its own disk")
	flag.StringVar(&o.url, "url", "", "test the registry at this `URL` instead of starting berth")
	flag.StringVar(&o.user, "user", "", "with -url: log in as this user")
	flag.StringVar(&o.password, "password", "", "with -url: and this password")
	flag.StringVar(&o.results, "results", "results/oci", "`folder` for junit.xml, report.html and results.yaml")
	flag.StringVar(&o.suite, "suite", "go tool conformance", "the `command` that is the suite")
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
	return suite(ctx, o)
}

// suite runs the suite and judges its report.
func suite(ctx context.Context, o options) error {
	env, err := environment(o)
	if err != nil {
		return err
	}
	// The report of an earlier run must not pass for this one's: the suite ends with status 0 where it cannot start.
	junit := filepath.Join(o.results, "junit.xml")
	if err := os.Remove(junit); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	command := strings.Fields(o.suite)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %s: %w", o.suite, err)
	}
	r, err := readReport(junit)
	if err != nil {
		return fmt.Errorf("the suite left no report: %w\n%s", err, out)
	}
	r.print(os.Stdout)
	fmt.Printf("report: %s\n", filepath.Join(o.results, "report.html"))
	return r.verdict()
}

// environment turns every switch of the suite on, by name, so that what is tested does not depend on its defaults.
func environment(o options) ([]string, error) {
	u, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	results, err := filepath.Abs(o.results)
	if err != nil {
		return nil, err
	}
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
	return env, nil
}

// switches are the suite's, from its README.
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
