package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"berth/conformance/internal/audit"
	"berth/conformance/internal/cluster"
	"berth/conformance/internal/server"
)

// registry is berth on a data folder, or as replicas on a database and a bucket, started and killed again and again.
type registry struct {
	binary  string
	dir     string           // holds the data and the logs
	cluster *cluster.Cluster // of replicas; nil if there is one process on a folder
	args    []string         // of berth serve

	mu      sync.Mutex
	running []*process // by number; nil while it is not there
}

// process is one life of a replica, or of the only process there is.
type process struct {
	*server.Berth
	number int

	dead   atomic.Bool  // it is being killed, so that errors are no surprise
	limbo  atomic.Int64 // requests of clients that have hung up, of which nobody knows whether they are over
	pauses atomic.Int64 // begun and ended; odd while it stands still
}

// prepare starts what replicas need beside them.
func (r *registry) prepare(ctx context.Context, replicas int) (err error) {
	r.running = make([]*process, max(replicas, 1))
	if replicas > 0 {
		r.cluster, err = cluster.StartEmpty(ctx, r.dir, cluster.Options{Berth: r.binary, Replicas: replicas, Args: r.args})
	}
	return err
}

func (r *registry) folder() string { return filepath.Join(r.dir, "data") }
func (r *registry) log() string    { return filepath.Join(r.dir, "berth.log") }

// replicated reports whether there are several processes.
func (r *registry) replicated() bool { return len(r.running) > 1 }

// data is what the processes serve.
func (r *registry) data() audit.Data {
	if r.cluster != nil {
		return audit.Data{Berth: r.binary, Flags: r.cluster.Flags(), Objects: r.cluster.S3.Folder()}
	}
	return audit.Data{Berth: r.binary, Flags: []string{"--data", r.folder()}, Objects: filepath.Join(r.folder(), "blobs")}
}

// alive is the processes that have not been killed.
func (r *registry) alive() []*process {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*process
	for _, p := range r.running {
		if p != nil && !p.dead.Load() {
			all = append(all, p)
		}
	}
	return all
}

// start starts a process and says how long it took to be ready. On a busy machine somebody else may take the port that
// was free a moment before, which does not count.
func (r *registry) start(ctx context.Context, number int) (took time.Duration, err error) {
	p := &process{number: number}
	for range 3 {
		began := time.Now()
		if r.cluster == nil {
			p.Berth, err = server.StartBerth(ctx, r.binary, r.folder(), server.Options{Args: r.args, Log: r.log(), Poll: time.Millisecond})
		} else {
			err = r.cluster.StartReplica(ctx, number)
			p.Berth = r.cluster.Replicas[number]
		}
		took = time.Since(began)
		if err == nil || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
			break
		}
	}
	if err != nil {
		return took, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[number] = p
	return took, nil
}

// stop has all processes end in order.
func (r *registry) stop() error {
	for _, p := range r.alive() {
		p.dead.Store(true)
		if err := p.Stop(); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything.
func (r *registry) close() error {
	if r.cluster != nil {
		return r.cluster.Stop()
	}
	return r.stop()
}

// kill ends a process with SIGKILL, also one that stands still.
func (p *process) kill() error {
	p.dead.Store(true)
	return kill(p.Process)
}

// pause stops the process for a while, unless it is killed meanwhile. The caller has counted that it begins.
func (p *process) pause(ctx context.Context, d time.Duration) error {
	defer p.pauses.Add(1)
	err := p.signal(syscall.SIGSTOP)
	if err == nil {
		err = sleep(ctx, d)
	}
	return errors.Join(err, p.signal(syscall.SIGCONT))
}

func (p *process) signal(s syscall.Signal) error {
	if err := syscall.Kill(p.PID(), s); err != nil && !p.dead.Load() {
		return fmt.Errorf("replica %d: %w", p.number, err)
	}
	return nil
}

// killEarly starts a process and kills it before it can be ready.
func (r *registry) killEarly(ctx context.Context, after time.Duration) error {
	p, err := server.Start(ctx, server.Command{
		Name: "berth",
		Path: r.binary,
		Args: append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--no-scanner"}, r.data().Flags...),
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
