package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"berth/scan"
	"berth/scan/worker/process"
)

// child is an engine in a process of its own.
type child struct {
	proc   *process.Process
	name   string // of the scanner
	temp   string // folder of all that it writes
	limits Limits
	stderr *tail
	in     io.Closer // the engine ends when this does
	out    sender
	words  chan word // closed when the engine says nothing more

	open map[scan.DatabaseKind]scan.Database // that it uses

	stop    context.CancelFunc // of all that goes on about it
	work    sync.WaitGroup
	mu      sync.Mutex
	outside error // why it was killed
}

// What ends an engine.
type (
	// limitError says that an engine was killed because it took more than it may.
	limitError struct{ reason string }
	// deathError says that an engine ended by itself.
	deathError struct{ reason string }
)

func (e *limitError) Error() string { return e.reason }
func (e *deathError) Error() string { return e.reason }

// startChild starts an engine and waits until it is ready. cache answers what it asks.
func startChild(ctx context.Context, opts Options, cache scan.LayerCache) (*child, error) {
	temp, err := os.MkdirTemp(filepath.Join(opts.Data, tempFolder), "engine-")
	if err != nil {
		return nil, err
	}
	words, theirs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	cmd := exec.Command(opts.Engine[0], opts.Engine[1:]...)
	cmd.Dir = temp
	cmd.Env = append(childEnv(temp, opts.Limits), opts.Env...)
	cmd.ExtraFiles = []*os.File{theirs} // as descriptor 3
	c := &child{temp: temp, limits: opts.Limits, stderr: &tail{log: opts.Logger}, words: make(chan word), open: map[scan.DatabaseKind]scan.Database{}}
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err == nil {
		c.proc, err = process.Start(cmd, nil)
	}
	theirs.Close()
	if err != nil {
		words.Close()
		return nil, errors.Join(fmt.Errorf("the engine cannot be started: %w", err), os.RemoveAll(temp))
	}
	c.in, c.out.w = in, in
	if err := c.proc.Limit(opts.Limits.dataLimit(), opts.Limits.Disk); err != nil {
		opts.Logger.Debug("the kernel does not limit the engine; the worker looks after it", "error", err)
	}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.work.Go(func() { c.listen(ctx, words, cache) })
	c.work.Go(func() { c.watch(ctx) })
	c.work.Go(func() { c.watchDisk(ctx) })
	first, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := c.next(first)
	if err == nil && w.Ready == "" {
		err = errors.New("the engine does not begin with its name")
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("the engine does not start: %w", err)
	}
	c.name = w.Ready
	return c, nil
}

// childEnv is the environment of engines: nothing secret. An engine leaves half of the
// processors to others, who would notice it on all of them however low its priority is; it
// is hardly slower for that.
func childEnv(temp string, l Limits) []string {
	return append(process.Environment(),
		"HOME="+temp, "TMPDIR="+temp,
		fmt.Sprintf("GOMEMLIMIT=%d", l.Memory/5*4),
		fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/2)),
	)
}

// listen hears what the engine says, and answers its questions.
func (c *child) listen(ctx context.Context, from *os.File, cache scan.LayerCache) {
	defer close(c.words)
	defer from.Close()
	stop := context.AfterFunc(ctx, func() { from.Close() })
	defer stop()
	c.work.Go(func() {
		<-c.proc.Done() // what it has started may hold the pipe open
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
			from.Close()
		}
	})
	turn := make(chan struct{}, 8) // questions that are answered at once
	for in := newReceiver(from); ; {
		var w word
		if err := in.receive(&w); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				c.kill(&deathError{"the engine does not say what it should: " + err.Error()})
			}
			return
		}
		if q := w.Question; q != nil {
			turn <- struct{}{}
			c.work.Go(func() {
				defer func() { <-turn }()
				_ = c.out.send(order{Answer: new(reply(ctx, cache, *q))}) // it may be dead
			})
			continue
		}
		select {
		case c.words <- w:
		case <-ctx.Done():
			return
		}
	}
}

// next waits for the next thing that the engine says. Errors: a limitError, a deathError, and
// the cause that ctx ended.
func (c *child) next(ctx context.Context) (word, error) {
	select {
	case <-ctx.Done():
		return word{}, context.Cause(ctx)
	case w, ok := <-c.words:
		if !ok {
			return word{}, c.end()
		}
		return w, nil
	}
}

// end says why the engine has ended.
func (c *child) end() error {
	select {
	case <-c.proc.Done():
	case <-time.After(2 * time.Second): // it closed the pipe and goes on
		c.proc.Kill()
	}
	err := c.proc.Err()
	c.mu.Lock()
	outside := c.outside
	c.mu.Unlock()
	line := c.stderr.last()
	switch {
	case outside != nil:
		return outside
	case strings.Contains(line, "out of memory") || strings.Contains(line, "cannot allocate memory"):
		return &limitError{c.limits.memoryReason()}
	case strings.Contains(line, "SIGXFSZ"):
		return &limitError{c.limits.diskReason()}
	case err == nil:
		return &deathError{"the engine ended in the midst of it"}
	case err.Error() == "signal: killed":
		return &deathError{"the engine was killed, probably by the system for want of memory"}
	case line != "":
		return &deathError{fmt.Sprintf("the engine died of it: %s", line)}
	}
	return &deathError{fmt.Sprintf("the engine died of it (%v)", err)}
}

// kill ends the engine for a reason, of which the first counts.
func (c *child) kill(reason error) {
	c.mu.Lock()
	if c.outside == nil {
		c.outside = reason
	}
	c.mu.Unlock()
	c.proc.Kill()
}

// ask gives the engine an order and waits for what it says. When it fails the engine is
// dead, or of no more use. Errors: those of next.
func (c *child) ask(ctx context.Context, o order) (word, error) {
	stop := context.AfterFunc(ctx, c.proc.Kill) // it may not even listen
	defer stop()
	var w word
	err := c.out.send(o)
	if err == nil {
		w, err = c.next(ctx)
	} else if ctx.Err() == nil {
		err = c.end()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return w, err
}

// use has the engine open a database. Errors: those of ask, and what the scanner says: then
// it goes on with the database that it had.
func (c *child) use(ctx context.Context, d kept) error {
	w, err := c.ask(ctx, order{Use: &useOrder{Kind: d.Kind, Dir: d.dir}})
	switch {
	case err != nil:
		return err
	case w.Used == nil:
		return &deathError{"the engine does not answer what it was asked"}
	case w.Used.Error != "":
		return errors.New(w.Used.Error)
	}
	c.open[d.Kind] = d.Database
	return nil
}

// do has the engine look at an image. Errors: those of ask.
func (c *child) do(ctx context.Context, job jobOrder) (outcome, error) {
	w, err := c.ask(ctx, order{Job: &job})
	if err == nil && w.Done == nil {
		err = &deathError{"the engine does not answer what it was asked"}
	}
	if err != nil {
		return outcome{}, err
	}
	return *w.Done, nil
}

// token has the engine go on with another token.
func (c *child) token(token string) {
	_ = c.out.send(order{Token: token}) // who is dead needs none
}

// alive reports whether the engine runs.
func (c *child) alive() bool {
	select {
	case <-c.proc.Done():
		return false
	default:
		return true
	}
}

// files is how many files are in the engine's folder.
func (c *child) files() (n int) {
	_ = filepath.WalkDir(c.temp, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

// close ends the engine, waits until it is gone, and removes what it has left behind.
func (c *child) close() {
	c.proc.Kill()
	<-c.proc.Done()
	c.stop()
	c.in.Close()
	c.work.Wait()
	if err := removeAll(c.temp); err != nil {
		c.stderr.log.Warn("what an engine has left behind cannot be removed", "folder", c.temp, "error", err)
	}
}
