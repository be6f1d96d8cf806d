package ecr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"berth/conformance/internal/cluster"
	"berth/conformance/internal/server"
)

// Where the registry is, in the words of AWS.
const (
	region  = "eu-west-1"
	account = "111122223333"
)

// target is the registry under test.
var target struct {
	url   string
	berth func(stdin string, args ...string) ([]byte, error) // commands of its operator
	admin key
}

// key is an access key.
type key struct {
	ID     string `json:"accessKeyId"`
	Secret string `json:"secretAccessKey"`
}

func TestMain(m *testing.M) {
	if os.Getenv("BERTH_ECR") == "" {
		os.Exit(m.Run()) // which skips
	}
	os.Exit(run(m))
}

// run is TestMain with defers.
func run(m *testing.M) (code int) {
	work, err := os.MkdirTemp("", "berth-ecr-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(work)
	stop, err := start(work)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := stop(); err != nil {
			code = fail(err)
		}
	}()
	if target.admin, err = newKey(server.User); err != nil {
		return fail(err)
	}
	code = m.Run()
	if code == 0 && all() {
		if err := seen.check(); err != nil {
			return fail(err)
		}
		fmt.Println(seen)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "ecr:", err)
	return 1
}

// start points target at a berth, or at a proxy in front of as many as BERTH_ECR_REPLICAS says.
func start(work string) (stop func() error, err error) {
	ctx := context.Background()
	bin := os.Getenv("BERTH_BIN")
	if bin == "" {
		bin = filepath.Join(work, "berth")
		if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/berth").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	secret := filepath.Join(work, "secret.key")
	if err := os.WriteFile(secret, []byte("a secret of the conformance tests, as long as it has to be\n"), 0o600); err != nil {
		return nil, err
	}
	args := []string{"--no-create-on-push", "--region", region, "--registry-id", account, "--secret-key", secret}
	n := os.Getenv("BERTH_ECR_REPLICAS")
	if n == "" {
		data := filepath.Join(work, "data")
		target.berth = commands(bin, secret, "--data", data)
		b, err := server.StartBerth(ctx, bin, data, server.Options{Args: args})
		if err != nil {
			return nil, err
		}
		target.url = "http://" + b.Addr
		return b.Stop, nil
	}
	replicas, err := strconv.Atoi(n)
	if err != nil {
		return nil, fmt.Errorf("BERTH_ECR_REPLICAS: %w", err)
	}
	c, stop, err := cluster.Temporary(ctx, cluster.Options{Berth: bin, Replicas: replicas, Args: args})
	if err != nil {
		return nil, err
	}
	target.url = "http://" + c.Front.Addr
	target.berth = commands(bin, secret, c.Flags()...)
	return stop, nil
}

// commands runs commands of the binary on the data that flags lead to.
func commands(bin, secret string, flags ...string) func(stdin string, args ...string) ([]byte, error) {
	return func(stdin string, args ...string) ([]byte, error) {
		args = append(args, flags...)
		if args[0] == "key" {
			args = append(args, "--secret-key", secret)
		}
		cmd := exec.Command(bin, args...)
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("berth %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return out, err
	}
}

// newKey gives an account an access key.
func newKey(who string) (k key, err error) {
	out, err := target.berth("", "key", "create", who, "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &k)
	}
	if err == nil && (k.ID == "" || k.Secret == "") {
		err = errors.New("berth key create prints no key")
	}
	return k, err
}

// newUser makes a user with a password and an access key.
func newUser(t *testing.T, name, password string, policies ...string) key {
	t.Helper()
	args := []string{"user", "add", name}
	for _, p := range policies {
		args = append(args, "--policy", p)
	}
	if _, err := target.berth(password, args...); err != nil {
		t.Fatal(err)
	}
	k, err := newKey(name)
	if err != nil {
		t.Fatal(err)
	}
	settle()
	return k
}
