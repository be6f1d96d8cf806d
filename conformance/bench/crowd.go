package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// uploadMemory is what pushes may hold in memory together: berth's default for --upload-memory.
const uploadMemory = 256 << 20

// aside is what berth may take beside that, 150 MB.
const aside = 143 << 20

// patience is how often a push is begun again before its client gives up.
const patience = 100

// throng is how a crowd of clients fared.
type throng struct {
	clients int
	figures figures
	failed  error // of one that did not end well
}

// crowd has many clients push a large blob each at the same time. They do as docker does: POST, PATCH, PUT, and all of
// it once more after the time that a 503 asks for.
func crowd(ctx context.Context, o options, dir string) (t *throng, err error) {
	if err := checkRoom(dir, int64(o.crowd)*int64(o.crowdLayer)); err != nil {
		return nil, err
	}
	args := append([]string{"--upload-memory", fmt.Sprint(uploadMemory)}, strings.Fields(o.berthArgs)...)
	z := o.sizes
	z.clients = o.crowd
	layers := newMill(o.crowdLayer) // the bytes are there once for all clients, and each pushes an end of its own
	at, err := open(ctx, newBerth(o.berth, args, "", o.s3), dir, "crowd", z, mills{large: layers}, figures{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, at.close()) }()

	progress("%d clients push %d MiB each", o.crowd, o.crowdLayer>>20)
	t = &throng{clients: o.crowd, figures: at.figures}
	before, err := cpuTime(at.running.pid)
	if err != nil {
		return nil, err
	}
	var done, retries atomic.Int64
	var g errgroup.Group
	begun := time.Now()
	for n := range o.crowd {
		g.Go(func() error {
			again, err := at.client.pushPatiently(at.repo("", n), layers.blob())
			retries.Add(int64(again))
			if err == nil {
				done.Add(1)
			}
			return err
		})
	}
	t.failed = g.Wait()
	took := time.Since(begun).Seconds()
	peak, err := memory(at.running.pid, "VmHWM")
	after, e := cpuTime(at.running.pid)
	if err = errors.Join(err, e); err != nil {
		return nil, errors.Join(err, t.failed) // it has died of them
	}
	mib := float64(done.Load()) * float64(o.crowdLayer) / (1 << 20)
	t.figures.add(crowdDone, float64(done.Load()))
	t.figures.add(crowdRetries, float64(retries.Load()))
	t.figures.add(crowdTime, took)
	t.figures.add(crowdRate, mib/took)
	t.figures.add(pushCPU, (after-before).Seconds()/mib*1024)
	t.figures.add(crowdPeak, peak)
	return t, ctx.Err()
}

// checkRoom looks whether there is room for so many bytes, and half as much for parts that an S3 server is joining.
func checkRoom(dir string, bytes int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < bytes+bytes/2 {
		return fmt.Errorf("%s has %d MiB free, and the blobs take %d; name another folder with -dir, or push less with -crowd-layer",
			dir, free>>20, bytes>>20)
	}
	return nil
}

// pushPatiently pushes b until that is not refused with a 503 that asks to try again, and says how often it was.
func (c *client) pushPatiently(repo string, b blob) (again int, err error) {
	for ; ; again++ {
		err := c.pushBlob(repo, b, true)
		var e *statusError
		if !errors.As(err, &e) || e.status != http.StatusServiceUnavailable || e.retryAfter == 0 || again == patience {
			return again, err
		}
		select {
		case <-time.After(e.retryAfter):
		case <-c.ctx.Done():
			return again, c.ctx.Err()
		}
	}
}

// crowdBudgets are the lines of a crowd.
func crowdBudgets(clients int) []budget {
	return []budget{
		{metric: crowdDone, rule: atLeast(float64(clients))},
		{metric: crowdRetries},
		{metric: crowdTime, digits: 1},
		{metric: crowdRate},
		{metric: pushCPU, digits: 2},
		{metric: crowdPeak, rule: atMost((uploadMemory + aside) >> 20)},
	}
}

// printCrowd writes the lines in Markdown.
func printCrowd(w io.Writer, t *throng) {
	printBudgets(w, "crowd", crowdBudgets(t.clients), t.figures)
	if t.failed != nil {
		fmt.Fprintf(w, "\nOne push failed with: %v\n", t.failed)
	}
}

// printBudgets writes the lines of berth alone.
func printBudgets(w io.Writer, title string, budgets []budget, f figures) {
	rows := [][]string{{title, "budget", berth, "verdict"}}
	for _, b := range budgets {
		limit := ""
		if b.rule != nil {
			limit = b.rule.text
		}
		word, _ := b.verdict(map[string]figures{berth: f})
		rows = append(rows, []string{string(b.metric), limit, number(f.median(b.metric), b.digits), word})
	}
	printRows(w, rows)
}

// all is what budgets are held against.
func (t *throng) all() map[string]figures { return map[string]figures{berth: t.figures} }
