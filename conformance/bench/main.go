// Command bench measures berth beside other registries on this machine and prints berth's budgets with what each
// registry took.
//
//	go run ./conformance/bench -berth bin/berth                     # about six minutes
//	go run ./conformance/bench -berth bin/berth -growth 1000,30000  # berth alone, with so many images in it
//	go run ./conformance/bench -berth bin/berth -crowd 200          # berth alone, with so many clients at once
//	go run ./conformance/bench -berth bin/berth -garbage 100000     # berth alone, with so many blobs that nothing mentions
//	go run ./conformance/bench -berth bin/berth -scans              # berth alone, with a scanner
//
// Each of them with -s3 too, and with -quick for half a minute, to see that it works.
//
// The contestants are a bare loop (see bareloop), berth with token authentication on, CNCF Distribution without any, and
// every registry named with -peer. All get the same requests from the same client. They take turns, round by round, and
// the table holds medians, because a shared machine is noisy. Cost is the server's CPU time, which noise disturbs least.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/conformance/internal/tools"
)

// options is the command line.
type options struct {
	sizes
	berth        string
	berthArgs    string
	berthData    string
	distribution string
	peers        []string
	growth       []int
	crowd        int
	crowdLayer   int
	garbage      int
	scans        bool
	scanner      string
	debian       string
	inventories  int
	dir          string
	out          string
	rounds       int
	s3           bool
	quick        bool
	enforce      bool
}

func parse() options {
	var o options
	flag.StringVar(&o.berth, "berth", "bin/berth", "the berth `binary`")
	flag.StringVar(&o.berthArgs, "berth-args", "", "further `arguments` of berth serve, separated by spaces")
	flag.StringVar(&o.berthData, "berth-data", "", "data `folder` to time berth's start on, such as one with a million images; "+
		"by default the one with -tags tags")
	flag.StringVar(&o.distribution, "distribution", "", "the registry `binary` of CNCF Distribution; built if not given")
	flag.Func("peer", "another registry as `name=URL[,PID]`; the URL may hold user:password@; repeatable", func(s string) error {
		o.peers = append(o.peers, s)
		return nil
	})
	flag.StringVar(&o.dir, "dir", "", "`folder` for the data of all registries, on a real disk; default a temporary one")
	flag.StringVar(&o.out, "out", "", "`file` for a copy of the table; by default results/bench.md, growth.md or crowd.md, or bench-s3-quick.md and so on")
	flag.Func("growth", "instead of the table, measure berth with so many `images` in it, such as 1000,30000,1000000", func(list string) error {
		return parseGrowth(&o.growth, list)
	})
	flag.IntVar(&o.pushes, "pushes", 1000, "small images that are pushed in a round of -growth")
	flag.IntVar(&o.crowd, "crowd", 0, "instead of the table, have so many `clients` push a blob each at once")
	flag.IntVar(&o.crowdLayer, "crowd-layer", 200<<20, "`bytes` of each of these blobs")
	flag.IntVar(&o.garbage, "garbage", 0, "instead of the table, have berth collect so many `blobs` that nothing mentions")
	flag.BoolVar(&o.scans, "scans", false, "instead of the table, have berth scan images for vulnerabilities")
	flag.StringVar(&o.scanner, "scanner", "bin/berth-scanner", "the `binary` that does so")
	flag.StringVar(&o.debian, "debian", debianPath(), "tar `file` of the Debian in these images")
	flag.IntVar(&o.inventories, "inventories", 1000, "`images` that are matched with a new database")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which the table shows the median")
	flag.IntVar(&o.clients, "clients", 8, "clients at once")
	flag.IntVar(&o.images, "images", 32, "images of 4 large layers that are pushed and pulled in a round")
	flag.IntVar(&o.layerSize, "layer", 16<<20, "`bytes` of a large layer")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "of each work that is counted by time")
	flag.IntVar(&o.tags, "tags", 1_000_000, "tags in the repository whose middle is listed")
	flag.IntVar(&o.slowTags, "slow-tags", 1000, "the same for registries that take one tag a request")
	flag.IntVar(&o.pages, "pages", 500, "pages of 100 tags that are read")
	flag.IntVar(&o.referrers, "referrers", 300, "referrers of one subject")
	flag.IntVar(&o.startCount, "starts", 5, "how often the start is timed")
	flag.BoolVar(&o.s3, "s3", false, "keep blobs on an S3 server and berth's metadata in PostgreSQL; their CPU time is not counted")
	flag.BoolVar(&o.quick, "quick", false, "one short round with little in it")
	flag.BoolVar(&o.enforce, "enforce", false, "end with status 1 when a budget is missed")
	flag.Parse()
	if o.quick {
		o.rounds, o.images, o.duration, o.tags, o.startCount = 1, 8, time.Second, min(o.tags, 10_000), 2
		o.pages, o.pushes, o.crowdLayer = 100, 200, min(o.crowdLayer, 20<<20)
		o.inventories = min(o.inventories, 30)
	}
	if o.out == "" {
		o.out = filepath.Join("results", o.kind()+".md")
	}
	return o
}

// kind names what is measured, and the file that it is kept in.
func (o options) kind() string {
	kind := "bench"
	switch {
	case len(o.growth) > 0:
		kind = "growth"
	case o.crowd > 0:
		kind = "crowd"
	case o.garbage > 0:
		kind = "garbage"
	case o.scans:
		kind = "scans"
	}
	if o.s3 {
		kind += "-s3"
	}
	if o.quick { // what took long is not to be overwritten
		kind += "-quick"
	}
	return kind
}

// parseGrowth reads a list of sizes.
func parseGrowth(sizes *[]int, list string) error {
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		if n < smallestRegistry || n%imagesPerBatch != 0 {
			return fmt.Errorf("%d is not a multiple of %d from %d on", n, imagesPerBatch, smallestRegistry)
		}
		*sizes = append(*sizes, n)
	}
	slices.Sort(*sizes)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, parse())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and prints.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "berth-bench-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL does not run as root
		return err
	}
	defer os.RemoveAll(dir)
	var missed []string
	switch {
	case len(o.growth) > 0:
		missed, err = runGrowth(ctx, o, dir)
	case o.crowd > 0:
		missed, err = runCrowd(ctx, o, dir)
	case o.garbage > 0:
		missed, err = runGarbage(ctx, o, dir)
	case o.scans:
		missed, err = runScans(ctx, o, dir)
	default:
		missed, err = runTable(ctx, o, dir)
	}
	if err != nil || len(missed) == 0 {
		return err
	}
	err = fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	if !o.enforce {
		progress("%v", err)
		return nil
	}
	return err
}

// runTable measures and prints the contestants, and returns the budgets that berth misses.
func runTable(ctx context.Context, o options, dir string) (missed []string, err error) {
	contestants, err := enter(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	all, notes, err := measureAll(ctx, o, dir, contestants)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range contestants {
		names = append(names, c.name)
	}
	return missedBudgets(o.budgets(), all), publish(o.out, func(w, file io.Writer) {
		fmt.Fprintf(w, "%s. Medians of %d, %d clients, images of %d × %d MiB.%s\n\n", machine(), o.rounds, o.clients,
			layersPerImage, o.layerSize>>20, notes)
		printTable(w, o.budgets(), names, all)
		fmt.Fprintf(file, "\n```\n")
		printRounds(file, o.budgets(), names, all)
		fmt.Fprintf(file, "```\n")
	})
}

// runGrowth does the same for registries of several sizes.
func runGrowth(ctx context.Context, o options, dir string) (missed []string, err error) {
	stages, err := grow(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	return missedTrends(stages), publish(o.out, func(w, file io.Writer) {
		fmt.Fprintf(w, "%s. %s. Medians of %d, %d clients, half of the images in one repository.\n\n", machine(), o.kind(),
			o.rounds, o.clients)
		printGrowth(w, stages)
		fmt.Fprintf(file, "\n```\n")
		var lines []budget
		for _, t := range trends {
			lines = append(lines, budget{metric: t.metric, digits: t.digits})
		}
		var names []string
		all := map[string]figures{}
		for _, s := range stages {
			names = append(names, thousands(s.images))
			all[thousands(s.images)] = s.figures
		}
		printRounds(file, lines, names, all)
		fmt.Fprintf(file, "```\n")
	})
}

// runCrowd does the same for a crowd of clients.
func runCrowd(ctx context.Context, o options, dir string) (missed []string, err error) {
	t, err := crowd(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	return missedBudgets(crowdBudgets(o.crowd), t.all()), publish(o.out, func(w, _ io.Writer) {
		fmt.Fprintf(w, "%s. %s. %d clients, a blob of %d MiB each, --upload-memory %d.\n\n", machine(), o.kind(), o.crowd,
			o.crowdLayer>>20, uploadMemory)
		printCrowd(w, t)
	})
}

// runGarbage does the same for garbage collection.
func runGarbage(ctx context.Context, o options, dir string) (missed []string, err error) {
	f, err := garbage(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	return missedBudgets(garbageBudgets, map[string]figures{berth: f}), publish(o.out, func(w, file io.Writer) {
		fmt.Fprintf(w, "%s. %s. %d blobs of %d KiB, --gc-grace %s. Medians of %d, %d clients.\n\n", machine(), o.kind(), o.garbage,
			garbageLayer>>10, grace, o.rounds, o.clients)
		printGarbage(w, f)
		fmt.Fprintf(file, "\n```\n")
		printRounds(file, garbageBudgets, []string{berth}, map[string]figures{berth: f})
		fmt.Fprintf(file, "```\n")
	})
}

// runScans does the same for scans.
func runScans(ctx context.Context, o options, dir string) (missed []string, err error) {
	f, err := scans(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	budgets := scanBudgets(o.inventories)
	return missedBudgets(budgets, map[string]figures{berth: f}), publish(o.out, func(w, file io.Writer) {
		fmt.Fprintf(w, "%s. %s. Medians of %d, %d clients, one scanner that looks at an image at a time.\n\n", machine(), o.kind(), o.rounds, o.clients)
		printBudgets(w, "scans", budgets, f)
		fmt.Fprintf(file, "\n```\n")
		printRounds(file, budgets, []string{berth}, map[string]figures{berth: f})
		fmt.Fprintf(file, "```\n")
	})
}

// publish has a report written to stdout and to a file, and what is for the file alone to that.
func publish(path string, report func(w, file io.Writer)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	report(io.MultiWriter(os.Stdout, file), file)
	return file.Close()
}

// missedBudgets lists the budgets that are missed.
func missedBudgets(budgets []budget, all map[string]figures) (missed []string) {
	for _, b := range budgets {
		if _, kept := b.verdict(all); !kept {
			missed = append(missed, string(b.metric))
		}
	}
	return missed
}

// enter builds what is missing and makes the list of contestants.
func enter(ctx context.Context, o options, dir string) ([]*contestant, error) {
	bare, err := buildBareLoop(ctx, dir)
	if err != nil {
		return nil, err
	}
	if o.distribution == "" {
		if o.distribution, err = tools.Install(ctx, distributionProgram); err != nil {
			return nil, err
		}
	}
	list := []*contestant{
		newBareLoop(bare, o.s3),
		newBerth(o.berth, strings.Fields(o.berthArgs), o.berthData, o.s3),
		newDistribution(o.distribution, o.s3),
	}
	for _, p := range o.peers {
		c, err := newPeer(p)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// measureAll has the contestants take turns and returns their figures.
func measureAll(ctx context.Context, o options, dir string, contestants []*contestant) (map[string]figures, string, error) {
	all := map[string]figures{}
	for _, c := range contestants {
		all[c.name] = figures{}
		if c.binary == "" {
			continue
		}
		st, err := os.Stat(c.binary)
		if err != nil {
			return nil, "", err
		}
		all[c.name].add(binarySize, float64(st.Size())/1e6)
	}
	m := mills{large: newMill(o.layerSize), small: newMill(1 << 10), medium: newMill(64 << 10)}
	prefix := fmt.Sprintf("bench/%x", time.Now().UnixNano())
	for n := range o.rounds {
		// Each round begins with another one, so that nobody is always first on a quiet disk.
		for i := range contestants {
			c := contestants[(i+n)%len(contestants)]
			progress("round %d of %d: %s", n+1, o.rounds, c.name)
			if err := round(ctx, c, dir, fmt.Sprintf("%s/r%d", prefix, n), o.sizes, m, all[c.name]); err != nil {
				return nil, "", err
			}
		}
	}
	var notes strings.Builder
	for _, c := range contestants {
		progress("tags, start, idle memory: %s", c.name)
		tags, err := large(ctx, c, dir, prefix, o.sizes, m, all[c.name])
		if err != nil {
			return nil, "", errors.Join(err, ctx.Err())
		}
		if tags > 0 {
			fmt.Fprintf(&notes, " %s: %d tags.", c.name, tags)
		}
	}
	return all, notes.String(), nil
}
