// Command chaos looks for what berth does when S3 or PostgreSQL fail it.
//
//	go run ./conformance/chaos -berth bin/berth              # all scenarios, some five minutes
//	go run ./conformance/chaos -berth bin/berth -quick       # half of them, and shorter
//	go run ./conformance/chaos -berth bin/berth -run 's3'    # those whose name matches
//
// Each scenario starts PostgreSQL, an S3 server and replicas of berth, with a proxy before either server that can do
// harm. Clients push and pull images of several layers, of one byte to 30 MiB, each request at another replica. Then
// comes the fault, and goes again.
//
// Meanwhile a client may be told to try again (503 with Retry-After, and a body that says so) or to go on elsewhere in
// its upload (416, or 404 and it starts anew), and a pull may break off. It must not wait longer than 30 seconds, must
// not see a 500, nor anything of S3 or SQL in a body, nor a connection that breaks. What it was told is stored has to be
// there byte for byte. When the fault is over, the first push and the first pull on each replica succeed, and those under
// way come to their end. Then berth fsck --deep finds nothing lost, and when the unfinished uploads have expired, nothing
// lies in the bucket that is not known.
//
// The files: scenarios.go is the list; bucket.go and database.go are the faults, proxy.go and wire.go the proxies;
// image.go, client.go, push.go and pull.go are the clients; answer.go says which answers are allowed; world.go and
// trial.go run a scenario and look at what is left; table.go prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

// options is the command line.
type options struct {
	berth string
	quick bool
	only  string
	seed  uint64
	keep  string
}

func main() {
	var o options
	flag.StringVar(&o.berth, "berth", "bin/berth", "the berth `binary`")
	flag.BoolVar(&o.quick, "quick", false, "shorten the faults, and leave out those that are like others")
	flag.StringVar(&o.only, "run", "", "run the scenarios whose name matches this `expression`")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "where chance begins")
	flag.StringVar(&o.keep, "data", "", "a `folder` for the data and logs of the scenarios, which stay there")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\nseed %d\n", err, o.seed)
		os.Exit(1)
	}
}

// run runs the scenarios one after another, also after one has failed.
func run(ctx context.Context, o options) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	if o.berth, err = filepath.Abs(o.berth); err != nil {
		return err
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "berth-chaos-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL does not run as root, and has its folder in here
		return err
	}
	began := time.Now()
	var table table
	var failures []error
	for i, s := range scenarios {
		if !only.MatchString(s.name) || o.quick && s.thorough || ctx.Err() != nil {
			continue
		}
		t := &trial{scenario: s, options: o, dir: filepath.Join(dir, fmt.Sprintf("%02d", i)), seed: o.seed + uint64(i)<<32}
		err := t.run(ctx)
		table.add(t)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w\nthe logs are in %s", s.name, err, t.dir))
		} else if o.keep == "" {
			err = os.RemoveAll(t.dir)
			failures = append(failures, err)
		}
	}
	table.end(time.Since(began))
	if err := errors.Join(append(failures, ctx.Err())...); err != nil || o.keep != "" {
		return err
	}
	return os.RemoveAll(dir)
}
