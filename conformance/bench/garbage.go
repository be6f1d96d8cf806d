package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// grace is what the garbage collection of the benchmark waits for. It is paused until there is something to measure.
const grace = time.Second

// garbageLayer is the bytes of a blob that becomes garbage: an object of its own.
const garbageLayer = 17 << 10

// garbage has a registry collect blobs that nothing mentions, first while clients push and lifecycle policies are applied, and
// then with nothing else to do.
func garbage(ctx context.Context, o options, dir string) (f figures, err error) {
	args := append([]string{"--gc-grace", grace.String(), "--max-deletes", "off"}, strings.Fields(o.berthArgs)...)
	m := mills{small: newMill(1 << 10), medium: newMill(garbageLayer)}
	at, err := open(ctx, newBerth(o.berth, args, "", o.s3), dir, "garbage", o.sizes, m, figures{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, at.close()) }()
	pause := func(word string) error {
		_, err := at.running.command(ctx, "gc", word)
		return err
	}
	if err := pause("pause"); err != nil {
		return nil, err
	}
	progress("%d blobs that no image names", o.garbage)
	err = share(2*o.clients, o.garbage, func(n int) error {
		return at.client.pushBlob(at.repo("image", n%o.clients), at.medium.blob(), false)
	})
	if err != nil {
		return nil, err
	}
	for n := range o.rounds {
		progress("round %d of %d", n+1, o.rounds)
		prune, err := newPruning(at, dir, n, o.garbage/20)
		if err != nil {
			return nil, err
		}
		if err := at.pushBeside(gcIdleP99, gcIdleRate); err != nil {
			return nil, err
		}
		if err := errors.Join(pause("resume"), prune.start(ctx)); err != nil {
			return nil, err
		}
		err = at.pushBeside(gcBusyP99, gcBusyRate)
		pruned, stopErr := prune.stop(ctx)
		if err := errors.Join(err, stopErr, pause("pause")); err != nil {
			return nil, err
		}
		at.figures.add(gcPruned, float64(pruned))
		before := at.figures[gcIdleP99][n]
		at.figures.add(gcSlower, at.figures[gcBusyP99][n]/before)
	}
	return at.figures, collect(ctx, at, o.garbage)
}

// pushBeside measures pushes of small images. rate may be empty.
func (s *stint) pushBeside(p99, rate metric) error {
	e, err := measureFor(s.duration, s.running.pid, s.clients, func(worker, n int) error {
		return newImage(fmt.Sprintf("v%d", n), s.small, 1).push(s.client, s.repo("image", worker), false)
	})
	if err != nil {
		return err
	}
	s.figures.add(p99, percentile(e.latency, 99))
	if rate != "" {
		s.figures.add(rate, e.perSecond())
	}
	return nil
}

// collected is what berth gc status tells.
type collected struct {
	Total struct{ Blobs int }
	Jobs  int
}

// collect measures how fast the rest goes, objects and all.
func collect(ctx context.Context, at *stint, all int) error {
	status := func() (c collected, err error) {
		out, err := at.running.command(ctx, "gc", "status", "-o", "json")
		if err == nil {
			err = json.Unmarshal(out, &c)
		}
		return c, err
	}
	before, err := status()
	if err != nil {
		return err
	}
	at.figures.add(gcBeside, float64(before.Total.Blobs))
	progress("%d blobs were collected beside the pushes; now the rest", before.Total.Blobs)
	if before.Total.Blobs > all*9/10 {
		return fmt.Errorf("%d of %d blobs were collected beside the pushes, so the rest tells nothing; give more with -garbage", before.Total.Blobs, all)
	}
	if _, err := at.running.command(ctx, "gc", "resume"); err != nil {
		return err
	}
	begun := time.Now()
	for {
		c, err := status()
		if err != nil {
			return err
		}
		if c.Total.Blobs >= all && c.Jobs == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	// What was said to be gone is noted when a sweep ends, and so is part of the time.
	at.figures.add(gcRate, float64(all-before.Total.Blobs)/time.Since(begun).Seconds())
	peak, err := memory(at.running.pid, "VmHWM")
	at.figures.add(peakMemory, peak)
	return err
}

// garbageBudgets are the lines of the table.
var garbageBudgets = []budget{
	{metric: gcRate, rule: atLeast(2000)},
	{metric: gcIdleP99, digits: 2},
	{metric: gcBusyP99, digits: 2},
	{metric: gcSlower, digits: 2, rule: atMost(1.2)},
	{metric: gcIdleRate},
	{metric: gcBusyRate},
	{metric: gcBeside},
	{metric: gcPruned, rule: atLeast(1)},
	{metric: peakMemory},
}

// printGarbage writes the lines in Markdown.
func printGarbage(w io.Writer, f figures) {
	printBudgets(w, "garbage collection", garbageBudgets, f)
}
