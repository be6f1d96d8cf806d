// Command kill looks for what berth loses when it is killed.
//
//	go run ./conformance/kill -berth bin/berth -kills 200
//
// Several clients push, pull, mount and delete at random, on the same few repositories and often the same blobs and
// tags, while the process is killed with SIGKILL at random moments and started again on the same folder. A model knows
// what the registry must look like: what was acknowledged, and what may or may not have happened because a kill cut it
// off. After every restart what has changed is compared with it, and everything from time to time; every answer that
// the clients get is, too. In the end berth fsck --deep has to find nothing lost.
//
// Garbage is collected all the while, after a grace of seconds. A blob may be gone then that no manifest names, and no
// other. In the end nothing is left but what manifests name.
//
// Kills do not lose what the kernel has taken from the process, so this says nothing about fsync.
//
// With -replicas 3 there are three processes on PostgreSQL and a bucket, and the clients take another one for each request.
// One, some or all are killed, or stand still for up to some seconds, while the others go on. A client waits only so
// long for a replica that stands still. Then it goes on with the others, and the model allows that what it had asked for
// is done later: until the answer comes, if the client has left the line open, or else until that replica is dead, and
// PostgreSQL has nothing to do. In the end all unfinished uploads are given up, and nothing may lie in the bucket that is
// not known, unfinished multipart uploads included.
//
// With -model nothing is killed: berth's answers are compared with the model's, step by step. With one client the model
// knows everything, so each status has to be exactly right, and the same seed does the same again.
//
// The files, from the bottom: cell.go, operation.go, model.go and settle.go are the model; content.go and manifest.go
// make what is pushed; http.go and client.go ask for things, and blobs.go, uploads.go, range.go, manifests.go,
// lists.go and probes.go say what each request does and what its answers mean; work.go and storm.go choose among them;
// patience.go is what clients do when a replica stands still; process.go, run.go, round.go, verify.go and summary.go are
// the life around it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// options is the command line.
type options struct {
	berth    string
	data     string
	kills    int
	clients  int
	steps    int
	replicas int
	seed     uint64
	model    bool
	grace    time.Duration
	progress bool
}

func main() {
	o := options{progress: true}
	flag.StringVar(&o.berth, "berth", "bin/berth", "the berth `binary`; it is built if it is not there")
	flag.StringVar(&o.data, "data", "", "an empty `folder` for berth's data and log, which stay there; by default a temporary one")
	flag.IntVar(&o.kills, "kills", 200, "how often berth is killed")
	flag.IntVar(&o.replicas, "replicas", 0, "serve a bucket and PostgreSQL with so many replicas, and kill or pause some of them")
	flag.IntVar(&o.clients, "clients", 0, "how many clients work at once; by default 6, or 1 with -model")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "where chance begins")
	flag.BoolVar(&o.model, "model", false, "kill nothing, only compare answers with the model")
	flag.DurationVar(&o.grace, "grace", 2*time.Second, "how long a blob stays that no manifest names; with -model for ever")
	flag.IntVar(&o.steps, "steps", 5000, "with -model: how many things the clients do")
	flag.Parse()
	if o.replicas == 1 || o.replicas < 0 {
		fmt.Fprintln(os.Stderr, "kill: -replicas means two or more")
		os.Exit(2)
	}
	if o.clients == 0 {
		o.clients = map[bool]int{true: 1, false: 6}[o.model]
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := execute(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kill: %v\nseed %d; run again with -seed %d\n", err, o.seed, o.seed)
		os.Exit(1)
	}
}

// execute runs in a folder that goes away if all is well.
func execute(ctx context.Context, o options) error {
	dir, err := folder(o.data)
	if err != nil {
		return err
	}
	if err := build(ctx, o.berth); err != nil {
		return err
	}
	r := newRun(o, dir)
	err = r.do(ctx)
	r.print(os.Stdout)
	if err != nil {
		return fmt.Errorf("%w\nberth's data and log are in %s", err, dir)
	}
	if o.data == "" {
		return os.RemoveAll(dir)
	}
	return nil
}

// folder makes the folder to work in. The model begins with nothing, so nothing may be there.
func folder(name string) (string, error) {
	if name == "" {
		dir, err := os.MkdirTemp("", "berth-kill-")
		if err == nil {
			err = os.Chmod(dir, 0o755) // PostgreSQL does not run as root, and may have its folder in here
		}
		return dir, err
	}
	if err := os.MkdirAll(name, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(name)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the folder %s is not empty", name)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(name)
}

// build makes the binary if it is not there.
func build(ctx context.Context, path string) error {
	_, err := os.Stat(path)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/berth")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build ./cmd/berth: %w", err)
	}
	return nil
}
