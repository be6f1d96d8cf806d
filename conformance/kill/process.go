package main

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"berth/conformance/internal/server"
)

// registry is berth on a data folder, started and killed again and again.
type registry struct {
	binary string
	dir    string // holds data and berth.log
	berth  *server.Berth
}

func (r *registry) data() string { return filepath.Join(r.dir, "data") }
func (r *registry) log() string  { return filepath.Join(r.dir, "berth.log") }

// start starts berth and says how long it took to be ready. On a busy machine somebody else may take the port that was
// free a moment before, which does not count.
func (r *registry) start(ctx context.Context) (took time.Duration, err error) {
	for range 3 {
		began := time.Now()
		r.berth, err = server.StartBerth(ctx, r.binary, r.data(), server.Options{Log: r.log(), Poll: time.Millisecond})
		took = time.Since(began)
		if err == nil || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
			break
		}
	}
	return took, err
}

// kill ends berth with SIGKILL.
func (r *registry) kill() error { return kill(r.berth.Process) }

// killEarly starts berth and kills it before it can be ready.
func (r *registry) killEarly(ctx context.Context, after time.Duration) error {
	p, err := server.Start(ctx, server.Command{
		Name: "berth",
		Path: r.binary,
		Args: []string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--data", r.data()},
		Env:  []string{"BERTH_ADMIN_PASSWORD=" + server.Password},
		Log:  r.log(),
	})
	if err != nil {
		return err
	}
	time.Sleep(after)
	return kill(p)
}

func kill(p *server.Process) error {
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		return err
	}
	return p.Stop() // waits for the end; there is nobody left to ask
}
