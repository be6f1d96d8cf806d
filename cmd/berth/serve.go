package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"berth/auth"
	"berth/registry"
	"berth/scan"
	"berth/storage/blob"
	"berth/storage/meta"
	"berth/storage/queue"
)

// serveCommand runs the registry.
type serveCommand struct {
	serveFlags `embed:""`
}

// Run serves until ctx ends, then lets the requests under way come to their end.
func (cmd serveCommand) Run(ctx context.Context, c console) error {
	if err := cmd.check(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// What lives is some 10 MB, whatever is in the registry; to collect when there is
		// three times as much, not twice, takes a tenth off what a small request costs.
		debug.SetGCPercent(200)
	}
	var level slog.LevelVar
	if err := level.UnmarshalText([]byte(cmd.LogLevel)); err != nil {
		return err
	}
	log := newLogger(c.err, cmd.LogFormat, &level)
	if cmd.local() {
		lock, err := lockData(cmd.Data, log)
		if err != nil {
			return err
		}
		defer lock.Close() // harmless on nil
	}
	m := newMetrics()
	db, err := meta.Open(ctx, cmd.database(), meta.Options{
		Connections: cmd.DatabaseConnections, Logger: log, Observe: m.transaction,
	})
	if err != nil {
		return err
	}
	s, err := cmd.newServer(ctx, c, log, m, db)
	if err == nil {
		err = s.run(ctx, &level)
	}
	return errors.Join(err, db.Close())
}

// server is a registry that runs: its listeners and the work beside them.
type server struct {
	flags   serveFlags
	log     *slog.Logger
	parts   parts
	public  *http.Server
	private *http.Server // nil without --admin-addr
	certs   *certificates
	scanner *scannerListener // nil with --read-only

	scannerPath string        // of the scanner that it runs; empty if it runs none
	scannerGone chan struct{} // closed when that has ended
}

func (cmd serveCommand) newServer(ctx context.Context, c console, log *slog.Logger, m *metrics, db *meta.DB) (*server, error) {
	p, err := cmd.assemble(ctx, c, log, m, db)
	if err != nil {
		return nil, err
	}
	s := &server{flags: cmd.serveFlags, log: log, parts: p, scannerGone: make(chan struct{})}
	if s.scannerPath, err = cmd.scannerPath(); err != nil {
		return nil, err
	}
	s.public = &http.Server{
		Handler: p.handler,
		// A client that sends its headers a byte at a time is not waited for. Bodies
		// have their own limit, --stall-timeout.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if s.certs, err = newCertificates(cmd.serveFlags, log); err != nil {
		return nil, err
	}
	if s.certs != nil {
		s.public.TLSConfig = s.certs.config()
	}
	if cmd.AdminAddr != "" {
		s.private = &http.Server{Handler: adminHandler(m, p.ready), ReadHeaderTimeout: 10 * time.Second}
	}
	return s, nil
}

// run listens, and ends when ctx does or a listener fails.
func (s *server) run(ctx context.Context, level *slog.LevelVar) error {
	listener, err := net.Listen("tcp", s.flags.Addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", s.flags.Addr, err)
	}
	defer listener.Close()
	listener = limit(listener, s.flags.MaxConnections)
	var admin net.Listener
	if s.private != nil {
		if admin, err = net.Listen("tcp", s.flags.AdminAddr); err != nil {
			return fmt.Errorf("--admin-addr %s: %w", s.flags.AdminAddr, err)
		}
		defer admin.Close()
	}
	if !s.flags.ReadOnly {
		if s.scanner, err = listenForScanner(s.parts.scanner, s.parts.secret, s.log); err != nil {
			return err
		}
		defer s.scanner.close()
	}
	// The password is shown once, so by a start that nothing stands in the way of.
	if err := s.parts.first(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	start := func(name string, serve func() error) {
		work.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	start("registry", func() error {
		if s.certs != nil {
			return s.public.ServeTLS(listener, "", "")
		}
		return s.public.Serve(listener)
	})
	if admin != nil {
		start("admin", func() error { return s.private.Serve(admin) })
	}
	if !s.flags.ReadOnly {
		start("scanner", s.scanner.serve)
		start("supervision of the scanner", func() error { s.superviseScanner(ctx); return nil })
		start("scans", func() error { s.parts.scans.Run(ctx, s.aloneAt("scans")); return nil })
		start("expiry of uploads", func() error { return s.expireUploads(ctx) })
		start("garbage collection", func() error { s.parts.garbage.Run(ctx, s.aloneAt("garbage collection")); return nil })
		if s.flags.scrubEvery() > 0 {
			start("scrub", func() error { s.scrub(ctx); return nil })
		}
		start("trends", func() error {
			scan.Trends{Store: s.parts.database, Logger: s.log}.Run(ctx, s.aloneAt("trends"))
			return nil
		})
		start("lifecycle policies", func() error { s.parts.pruner.Run(ctx, s.aloneAt("lifecycle policies")); return nil })
		start("vulnerability databases", func() error { s.parts.updater.Run(ctx, s.aloneAt("vulnerability databases")); return nil })
		for _, w := range s.parts.jobs {
			start("jobs", func() error { w.Run(ctx); return nil })
		}
		start("pull times", func() error { s.parts.pulls(ctx); return nil })
		start("use of access keys", func() error { s.parts.keyUse(ctx); return nil })
	}
	start("database", func() error { return s.watchDatabase(ctx) })
	start("storage", func() error { s.tryStorage(ctx); return nil })
	start("reload", func() error { return s.reloadOnHangup(ctx, level) })
	s.parts.ready.Store(true)
	s.log.Info("berth is ready", "version", version, "addr", listener.Addr().String(), "admin_addr", s.flags.AdminAddr,
		"tls", s.flags.tls(), "database", redact(s.flags.database()), "storage", redact(s.flags.storage()))

	<-ctx.Done()
	s.parts.ready.Store(false)
	s.drain()
	work.Wait()
	s.closeStore()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	s.log.Info("berth has stopped")
	return nil
}

// watchDatabase ends when nothing can be written any more: what starts the server anew
// may mend that.
func (s *server) watchDatabase(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.parts.database.Broken():
		return fmt.Errorf("nothing can be made durable any more: %w", s.parts.database.Ping(ctx))
	}
}

// tryStorage says early what would otherwise be told by the first push: that the storage
// is not to be reached, or is another one than was meant. The registry runs all the same,
// for it may be back soon.
func (s *server) tryStorage(ctx context.Context) {
	_, err := s.parts.blobs.Size(ctx, blob.NewKey())
	if err != nil && !errors.Is(err, blob.ErrNotExist) && ctx.Err() == nil {
		s.log.Warn("the storage is not as it should be, so that pushes and pulls fail; berth doctor says what to do", "error", err)
	}
}

// drain lets requests come to their end. Uploads that are cut off keep what has
// arrived.
func (s *server) drain() {
	s.parts.requests.hurry()
	ctx, cancel := context.WithTimeout(context.Background(), s.flags.DrainTimeout)
	defer cancel()
	if err := s.public.Shutdown(ctx); err != nil {
		s.log.Warn("some requests did not end in time and are cut off", "after", s.flags.DrainTimeout)
		s.public.Close()
	}
	if s.scanner != nil {
		<-s.scannerGone // which takes some seconds at most, to finish the image that it is at
		s.scanner.close()
	}
	s.parts.requests.close() // those cut off still write down how far they came
	if s.private != nil {
		s.private.Close()
	}
}

// closeStore ends the blob store when nobody works on it any more.
func (s *server) closeStore() {
	ctx, cancel := context.WithTimeout(context.Background(), min(s.flags.DrainTimeout, 10*time.Second))
	defer cancel()
	if err := s.parts.close(ctx); err != nil {
		s.log.Warn("the blob store did not come to its end", "error", err)
	}
}

// expireUploads removes abandoned uploads, once at the start and then every hour. Of
// the servers that share a database one does so at a time. The others look again soon:
// it may be busy with it, or have died.
func (s *server) expireUploads(ctx context.Context) error {
	for {
		pause := time.Hour
		held, err := s.alone(ctx, "expiry of uploads", func(ctx context.Context) error {
			return s.parts.expire(ctx, time.Now().Add(-s.flags.UploadExpiry))
		})
		if err != nil && ctx.Err() == nil {
			s.log.Error("abandoned uploads could not be removed", "error", err)
		}
		if !held {
			pause = 5 * time.Minute
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// scrub reads all objects again and again. Who is not at it looks again after a while.
func (s *server) scrub(ctx context.Context) {
	for {
		_, err := s.alone(ctx, "scrub", s.parts.scrub)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("objects cannot be compared with their digests; it goes on later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(10*time.Minute, s.flags.scrubEvery()/10+time.Second/10)):
		}
	}
}

// leaseAlone is how long after the death of a server another one takes over what it was at.
const leaseAlone = 20 * time.Second

// alone calls do unless another server is at it.
func (s *server) alone(ctx context.Context, name string, do func(context.Context) error) (held bool, err error) {
	if !s.parts.database.Shared() {
		return true, do(ctx) // there is no other, and nobody to wait for after a crash
	}
	return s.parts.database.WithLease(ctx, name, leaseAlone, do)
}

// aloneAt is alone for work that has one name.
func (s *server) aloneAt(name string) queue.Alone {
	return func(ctx context.Context, do func(context.Context) error) (bool, error) { return s.alone(ctx, name, do) }
}

// reloadOnHangup reads again, at SIGHUP, what can change while the server runs: the
// certificate and, from the configuration file, the level of the log.
func (s *server) reloadOnHangup(ctx context.Context, level *slog.LevelVar) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
		}
		if s.certs != nil {
			s.certs.reload()
		}
		if err := reloadLevel(level); err != nil {
			s.log.Error("the configuration cannot be read; it stays as it was", "error", err)
			continue
		}
		s.log.Info("configuration read again", "log_level", level.Level().String())
	}
}

// reloadLevel parses the process's own command line once more.
func reloadLevel(level *slog.LevelVar) error {
	var again commands
	parser, err := newParser(&again, console{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	if err != nil {
		return err
	}
	if _, err := parser.Parse(os.Args[1:]); err != nil {
		return err
	}
	return level.UnmarshalText([]byte(again.Serve.LogLevel))
}

// matchAny returns a function that reports whether a repository matches one of the
// patterns, which are like those of policies.
func matchAny(patterns []string) func(registry.Name) bool {
	return func(name registry.Name) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return auth.MatchWildcard(p, string(name)) })
	}
}
