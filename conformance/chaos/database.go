package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// restartPostgres ends the server in some way, and starts it again.
func restartPostgres(end func(*world) error) func(context.Context, *world) (func(context.Context) error, error) {
	return func(_ context.Context, w *world) (func(context.Context) error, error) {
		return w.Postgres.Run, end(w)
	}
}

func (w *world) stopPostgres() error  { return w.Postgres.Stop() }
func (w *world) crashPostgres() error { return w.Postgres.Crash() }

// cutConnections cuts some of them again and again.
func cutConnections(_ context.Context, w *world) (func(context.Context) error, error) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				w.wire.cutSome(0.15)
			}
		}
	}()
	return func(ctx context.Context) error {
		err := harmed(ctx, &w.wire.met)
		close(done)
		<-ended
		return err
	}, nil
}

// cutCommits cuts some connections in the middle of a COMMIT.
func cutCommits(_ context.Context, w *world) (func(context.Context) error, error) {
	w.wire.commits.Store(true)
	return func(ctx context.Context) error {
		err := harmed(ctx, &w.wire.met)
		w.wire.commits.Store(false)
		return err
	}, nil
}

// distance has every answer of the server come late.
func distance(d time.Duration) func(context.Context, *world) (func(context.Context) error, error) {
	return func(_ context.Context, w *world) (func(context.Context) error, error) {
		w.wire.delay.Store(int64(d))
		return func(context.Context) error {
			w.wire.delay.Store(0)
			return nil
		}, nil
	}
}

// readOnly is the old primary after another has been made it.
func readOnly(ctx context.Context, w *world) (func(context.Context) error, error) {
	set := func(ctx context.Context, to string) error {
		for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + to, "SELECT pg_reload_conf()"} {
			if _, err := w.Postgres.Query(ctx, statement); err != nil {
				return err
			}
		}
		return sleep(ctx, 200*time.Millisecond) // until every process of the server has heard
	}
	return func(ctx context.Context) error { return set(ctx, "off") }, set(ctx, "on")
}

// pausePostgres stops all processes of the server.
func pausePostgres(_ context.Context, w *world) (func(context.Context) error, error) {
	signal := func(s syscall.Signal) error {
		errs := []error{syscall.Kill(w.Postgres.PID(), s)}
		children, err := childrenOf(w.Postgres.PID())
		for _, pid := range children {
			if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
				errs = append(errs, err)
			}
		}
		return errors.Join(append(errs, err)...)
	}
	return func(context.Context) error { return signal(syscall.SIGCONT) }, signal(syscall.SIGSTOP)
}

// childrenOf finds the processes that a process has started.
func childrenOf(parent int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PPID …, and the name may hold anything.
		_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		children = append(children, pid)
	}
	return children, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
