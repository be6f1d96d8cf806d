package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/scan/remote"
)

// Options are the knobs of a [Worker].
type Options struct {
	Registry string         // URL
	Client   *remote.Client // of that registry, with the worker's credentials

	Engine []string // the command that runs [Engine] on descriptors 0 and 3
	Env    []string // for it, besides what it needs

	Data    string // folder for databases and temporary files, which nobody else uses
	Limits  Limits // of each engine
	Workers int    // jobs that are done at once, each by an engine of its own; zero means 1
	Name    string // of the worker, as operators see it; empty for host and process

	// Grace is how long a job may go on when the worker is to stop; zero means 8 s.
	Grace time.Duration

	Logger *slog.Logger
}

// Times that a worker goes by.
const (
	leaseWait  = 10 * time.Second // how long it waits for a job with one request
	firstWait  = 2 * time.Second  // the same as long as it has no database or another may be there soon, and may get no job
	useTimeout = 2 * time.Minute  // for opening a database
	mostPause  = time.Minute      // between attempts at what fails
	lookEvery  = 20 * time.Second // how often it looks for newer databases
)

// Worker does jobs.
type Worker struct {
	opts   Options
	keeper *keeper
}

// New returns a worker.
func New(opts Options) (*Worker, error) {
	if opts.Workers == 0 {
		opts.Workers = 1
	}
	if opts.Grace == 0 {
		opts.Grace = 8 * time.Second
	}
	if opts.Name == "" {
		host, _ := os.Hostname()
		opts.Name = host + "/" + strconv.Itoa(os.Getpid())
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.Limits = opts.Limits.withDefaults()
	// Engines are told of folders in it, and work in one of their own.
	data, err := filepath.Abs(opts.Data)
	if err != nil {
		return nil, err
	}
	opts.Data = data
	puller, err := remote.NewPuller(opts.Registry, 0)
	if err != nil {
		return nil, err
	}
	return &Worker{opts: opts, keeper: newKeeper(opts, puller)}, nil
}

// Run does jobs until ctx ends. Jobs under way have the time of Grace then to come to their
// end; after that they are left to other workers, who get them when the lease is over.
// Errors are about the folder: all else is tried again.
func (w *Worker) Run(ctx context.Context) error {
	unlock, err := openFolder(w.opts.Data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := w.keeper.load(); err != nil {
		return err
	}
	// What is under way outlives ctx for a while.
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	done := make(chan struct{})
	var watching, working sync.WaitGroup
	watching.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		select {
		case <-done:
		case <-time.After(w.opts.Grace):
			stop(errStopped)
		}
	})
	for _, kind := range databaseKinds {
		working.Go(func() { w.keeper.run(ctx, kind) })
	}
	for n := range w.opts.Workers {
		s := slot{Worker: w, name: w.opts.Name}
		if w.opts.Workers > 1 {
			s.name = fmt.Sprintf("%s/%d", w.opts.Name, n+1)
		}
		working.Go(func() { s.run(ctx, work) })
	}
	working.Wait()
	close(done)
	watching.Wait()
	return nil
}

// Why a job is dropped without a word.
var (
	errStopped = errors.New("the worker was stopped")
	errLost    = errors.New("the lease is over")
)

// slot does one job after the other.
type slot struct {
	*Worker
	name  string
	child *child // nil if one has to be started
	spent bool   // whether it has to be replaced after the job
}

// run does jobs until ctx ends; work is that of the one under way.
func (s *slot) run(ctx, work context.Context) {
	defer s.drop()
	pause := time.Second
	for ctx.Err() == nil {
		if err := s.turn(ctx, work); err == nil {
			pause = time.Second
			continue
		} else if ctx.Err() == nil {
			if remote.Away(err) {
				pause = time.Second // the client has waited for longer and longer already
			}
			s.opts.Logger.Warn("no job can be done now; it is tried again", "error", plain(err), "pause", pause)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, mostPause)
	}
}

// drop ends the engine, so that the next turn starts one.
func (s *slot) drop() {
	if s.child != nil {
		s.child.close()
		s.child, s.spent = nil, false
	}
}

// turn waits for a job for a while, and does it if there is one.
func (s *slot) turn(ctx, work context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	databases := map[scan.DatabaseKind]digest.Digest{}
	for kind, d := range s.child.open {
		databases[kind] = d.Digest
	}
	request := scan.LeaseRequest{
		Worker: s.name, Scanner: s.child.name, Wait: leaseWait,
		Databases: databases, Trouble: s.keeper.trouble(),
	}
	if databases[scan.Vulnerabilities] == "" || s.keeper.looking() {
		request.Wait = firstWait
	}
	// This is not interrupted when there is another database: an answer that is under way
	// could be a job, which would be lost until its lease is over.
	asked := time.Now()
	job, ok, err := s.opts.Client.Lease(ctx, request)
	switch {
	case err != nil:
		return err
	case ok:
		return s.do(work, job)
	}
	// A registry that has another database says so at once, and so does one that is about to stop.
	s.keeper.look()
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(asked.Add(time.Second))):
	}
	return nil
}

// prepare sees that there is an engine, and that it has the present databases.
func (s *slot) prepare(ctx context.Context) error {
	if s.child != nil && !s.child.alive() {
		s.opts.Logger.Warn("an engine that had nothing to do has died", "error", s.child.end())
		s.drop()
	}
	if s.child == nil {
		c, err := startChild(ctx, s.opts, s.opts.Client)
		if err != nil {
			return err
		}
		s.child = c
	}
	for _, kind := range databaseKinds {
		if err := s.open(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// open has the engine use the present database of a kind, if there is one. An engine that
// cannot goes on with the one it has.
func (s *slot) open(ctx context.Context, kind scan.DatabaseKind) error {
	present, ok := s.keeper.present(kind)
	before := s.child.open[kind]
	if !ok || before.Digest == present.Digest {
		return nil
	}
	if present.UpdatedAt.Before(before.UpdatedAt) {
		// An operator goes back to an older one. Engines do not, so it takes a new one.
		s.drop()
		return s.prepare(ctx)
	}
	use, cancel := context.WithTimeout(ctx, useTimeout)
	defer cancel()
	err := s.child.use(use, present)
	if err == nil {
		s.keeper.accept(present)
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // it is not the database
	}
	s.keeper.refuse(present, err)
	if !s.child.alive() || use.Err() != nil {
		s.drop()
		return fmt.Errorf("an engine has died of a database: %w", err)
	}
	return nil
}
