package clients

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"berth/conformance/internal/cluster"
	"berth/conformance/internal/server"
	"berth/conformance/internal/tools"
)

// target is the registry under test.
var target registry

// operator is what leads commands of berth to its data, as variables of the environment; nil if it runs elsewhere.
var operator []string

// workRoot is where scripts have their folders.
var workRoot string

// fixtures are the files that scripts push.
var fixtures struct {
	debian     string // a root file system as a tar file
	helloAMD64 string // a static program
	helloARM64 string

	// Folders of vulnerability databases, if this registry can get any; the newer one knows of one vulnerability more.
	vulnerabilities, newer string
}

func TestMain(m *testing.M) {
	if os.Getenv("BERTH_E2E") == "" {
		os.Exit(m.Run()) // which skips
	}
	os.Exit(run(m))
}

// run is TestMain with defers.
func run(m *testing.M) int {
	work, err := os.MkdirTemp("", "berth-e2e-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(work)
	workRoot = work
	if err := prepare(work); err != nil {
		return fail(err)
	}
	stop, err := connect(work)
	if err != nil {
		return fail(err)
	}
	code := m.Run()
	if err := stop(); err != nil {
		return fail(err)
	}
	printClients(os.Stdout)
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// prepare finds what install.sh installed and builds the two programs that the scripts push.
func prepare(work string) error {
	cache, err := tools.Folder()
	if err != nil {
		return err
	}
	// The pinned clients go before others of the same name. dockerd is in sbin, which a user may lack.
	path := work + ":" + filepath.Join(cache, "bin") + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin"
	if err := os.Setenv("PATH", path); err != nil {
		return err
	}
	fixtures.debian = filepath.Join(cache, "debian-bookworm.tar")
	if _, err := os.Stat(fixtures.debian); err != nil {
		return fmt.Errorf("no Debian to push; run conformance/clients/install.sh: %w", err)
	}
	fixtures.helloAMD64 = filepath.Join(work, "hello-amd64")
	fixtures.helloARM64 = filepath.Join(work, "hello-arm64")
	for arch, out := range map[string]string{"amd64": fixtures.helloAMD64, "arm64": fixtures.helloARM64} {
		err := build(out, "./testdata/hello", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if err != nil {
			return err
		}
	}
	return nil
}

// connect points target at the registry that the environment names, or at a berth started for the occasion.
func connect(work string) (stop func() error, err error) {
	if url := os.Getenv("BERTH_E2E_URL"); url != "" {
		target, err = newRegistry(url, os.Getenv("BERTH_E2E_USER"), os.Getenv("BERTH_E2E_PASSWORD"))
		return func() error { return nil }, err
	}
	bin := os.Getenv("BERTH_BIN")
	if bin == "" {
		bin = filepath.Join(work, "berth-built")
		if err := build(bin, "../../cmd/berth"); err != nil {
			return nil, err
		}
	}
	scanner, err := findScanner()
	if err != nil {
		return nil, err
	}
	if err := prepareDatabases(work); err != nil {
		return nil, err
	}
	// docker runs its helper by this name.
	for name, program := range map[string]string{"aws": "/usr/bin/aws", helperName: bin, operatorName: bin} {
		if err := os.Symlink(program, filepath.Join(work, name)); err != nil {
			return nil, err
		}
	}
	if n := os.Getenv("BERTH_E2E_REPLICAS"); n != "" {
		return connectCluster(work, bin, scanner, n)
	}
	data := filepath.Join(work, "data")
	b, err := server.StartBerth(context.Background(), bin, data, server.Options{Args: []string{"--scanner", scanner}})
	if err != nil {
		return nil, err
	}
	operator = []string{"BERTH_DATA=" + data}
	if target, err = newRegistry("http://"+b.Addr, server.User, server.Password); err == nil {
		if target.key, err = createKey(bin, "--data", data); err == nil {
			err = createStrangers(bin, "--data", data)
		}
	}
	return b.Stop, err
}

// connectCluster points target at a proxy in front of as many replicas, which change with each request.
func connectCluster(work, bin, scanner, replicas string) (stop func() error, err error) {
	n, err := strconv.Atoi(replicas)
	if err != nil {
		return nil, fmt.Errorf("BERTH_E2E_REPLICAS: %w", err)
	}
	secret := filepath.Join(work, "secret.key")
	if err := os.WriteFile(secret, []byte(rand.Text()+rand.Text()), 0o600); err != nil {
		return nil, err
	}
	args := []string{"--secret-key", secret}
	c, stop, err := cluster.Temporary(context.Background(), cluster.Options{
		Berth: bin, Replicas: n, Args: append([]string{"--scanner", scanner}, args...),
	})
	if err != nil {
		return nil, err
	}
	operator = []string{"BERTH_DATABASE=" + c.Postgres.URL, "BERTH_STORAGE=" + c.S3.URL}
	if target, err = newRegistry("http://"+c.Front.Addr, server.User, server.Password); err == nil {
		if target.key, err = createKey(bin, append(c.Flags(), args...)...); err == nil {
			err = createStrangers(bin, c.Flags()...)
		}
	}
	return stop, err
}

// build builds the Go program in the folder src.
func build(out, src string, env ...string) error {
	cmd := exec.Command("go", "build", "-o", out, src)
	cmd.Env = append(os.Environ(), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", src, err, b)
	}
	return nil
}

func TestClients(t *testing.T) {
	if target.url == "" {
		t.Skip("set BERTH_E2E=1 to drive real clients, see conformance/README.md")
	}
	testscript.Run(t, testscript.Params{
		Dir:         "testdata",
		WorkdirRoot: workRoot,
		Setup:       setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start": start,
			"let":   let,
			"has":   has,
		},
		Condition: func(name string) (bool, error) {
			if name != "keys" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return target.key.ID != "", nil
		},
	})
}
