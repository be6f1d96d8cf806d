//go:build goexperiment.jsonv2

package trivy

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// entryCounter counts the entries of a tar that is written to it. Trivy's own reader has no
// limit on them, so a second one runs beside it, in step.
type entryCounter struct {
	*io.PipeWriter
	done chan struct{}
}

// countEntries counts into total, and has writes fail once that is above limit.
func countEntries(total *atomic.Int64, limit int64) *entryCounter {
	r, w := io.Pipe()
	c := &entryCounter{w, make(chan struct{})}
	go func() {
		defer close(c.done)
		t := tar.NewReader(r)
		for {
			if _, err := t.Next(); err != nil && !errors.Is(err, tar.ErrInsecurePath) {
				break // the end, or what Trivy will complain about
			}
			if total.Add(1) > limit {
				r.CloseWithError(fmt.Errorf("the layers of the image have more than %d files, folders and links", limit))
				return
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	return c
}

// Close waits for the goroutine.
func (c *entryCounter) Close() error {
	err := c.PipeWriter.Close()
	<-c.done
	return err
}
