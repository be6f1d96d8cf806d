package worker

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"berth/registry"
)

// Limits are what an engine may take for an image. Zero values stand for the defaults.
type Limits struct {
	Memory int64         // in bytes; 600 MiB
	Disk   int64         // bytes of temporary files; 10 GiB
	Time   time.Duration // 5 minutes
}

// The default limits.
const (
	DefaultMemory = 600 << 20
	DefaultDisk   = 10 << 30
	DefaultTime   = 5 * time.Minute
)

func (l Limits) withDefaults() Limits {
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	if l.Disk == 0 {
		l.Disk = DefaultDisk
	}
	if l.Time == 0 {
		l.Time = DefaultTime
	}
	return l
}

// dataLimit is what the kernel is told: it stops an engine that takes memory faster than
// the worker looks. The Go runtime keeps ranges of memory that it has given back, and the
// kernel counts them, so the engine has room beyond what it may use.
func (l Limits) dataLimit() int64 { return 2*l.Memory + 256<<20 }

func (l Limits) memoryReason() string {
	return fmt.Sprintf("it needed more than %s of memory", size(l.Memory))
}

func (l Limits) diskReason() string {
	return fmt.Sprintf("it needed more than %s of temporary files", size(l.Disk))
}

func (l Limits) timeReason() string { return fmt.Sprintf("it took more than %s", l.Time) }

// size is a number of bytes for people.
func size(n int64) string { return strings.Replace(registry.FormatSize(n), ".0 ", " ", 1) }

// watch kills the engine when it uses more memory than it may.
func (c *child) watch(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.proc.Done():
			return
		case <-tick.C:
		}
		if c.proc.Memory() > c.limits.Memory {
			c.kill(&limitError{c.limits.memoryReason()})
			return
		}
	}
}

// watchDisk kills the engine when there is more in its folder than may be. It takes a tenth
// of its time to look, however many files there are.
func (c *child) watchDisk(ctx context.Context) {
	for pause := 200 * time.Millisecond; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.proc.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		if taken(c.temp) >= c.limits.Disk {
			c.kill(&limitError{c.limits.diskReason()})
			return
		}
		pause = max(200*time.Millisecond, 9*time.Since(began))
	}
}

// taken is how much room a folder takes. Each file counts for a block at least, since many
// empty ones fill a disk too.
func taken(dir string) (bytes int64) {
	const block = 4 << 10
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		bytes += block
		if err != nil || d.IsDir() {
			return nil // what is just being removed
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += max(0, occupied(info)-block)
		}
		return nil
	})
	return bytes
}
