package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"berth/conformance/internal/server"
)

// Postgres is a PostgreSQL that runs.
type Postgres struct {
	*server.Process
	Addr string // host:port
	URL  string // of the database that berth uses

	bin string
	dir string
	as  *syscall.Credential
}

// StartPostgres serves the database cluster in dir, which it makes if there is none. A crash of the server loses nothing, one of the machine
// may: nothing is synced.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	addr, err := server.FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Addr: addr, bin: bin, dir: dir, URL: "postgres://postgres@" + addr + "/postgres?sslmode=disable"}
	if os.Geteuid() == 0 {
		if p.as, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err != nil {
		if err := p.create(ctx); err != nil {
			return nil, err
		}
	}
	return p, p.Run(ctx)
}

// create makes the database cluster.
func (p *Postgres) create(ctx context.Context) error {
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	if p.as != nil {
		if err := os.Chown(p.dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"),
		"-D", p.dir, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir = p.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// Run serves the folder, again after the server has ended.
func (p *Postgres) Run(ctx context.Context) (err error) {
	_, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return err
	}
	p.Process, err = server.Start(ctx, server.Command{
		Name: "PostgreSQL",
		Path: filepath.Join(p.bin, "postgres"),
		Args: []string{
			"-D", p.dir, "-k", p.dir, "-h", "127.0.0.1", "-p", port,
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300",
		},
		As:  p.as,
		Log: filepath.Join(filepath.Dir(p.dir), "postgres.log"),
		Ready: func() error {
			return exec.Command(filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port).Run()
		},
	})
	return err
}

// Query runs a statement and returns what it answers, without titles and lines.
func (p *Postgres) Query(ctx context.Context, statement string) (string, error) {
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "psql"), "-XAtq", "-h", host, "-p", port, "-U", "postgres", "-c", statement, "postgres")
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c default_transaction_read_only=off") // whatever the server is set to
	out, err := cmd.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			err = fmt.Errorf("%w: %s", err, ended.Stderr)
		}
		return "", fmt.Errorf("psql: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Rest waits until the server is not at anything: neither for those connected nor for those that have died.
func (p *Postgres) Rest(ctx context.Context) error {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		busy, err := p.Query(ctx, "SELECT count(*) FROM pg_stat_activity"+
			" WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'")
		if err != nil {
			return err
		}
		if busy == "0" {
			return nil
		}
		if time.Since(began) > 30*time.Second {
			return fmt.Errorf("PostgreSQL is still at %s transactions although nobody has asked for any in 30 seconds", busy)
		}
	}
}

// Stop ends the server, cutting off those connected: SIGTERM would wait for them.
func (p *Postgres) Stop() error {
	if p.Process == nil {
		return nil
	}
	if err := syscall.Kill(p.PID(), syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return p.Process.Stop()
}

// Crash ends the server as a crash would.
func (p *Postgres) Crash() error {
	if err := syscall.Kill(p.PID(), syscall.SIGQUIT); err != nil {
		return err
	}
	return p.Process.Stop()
}

// postgresPrograms finds the folder of the newest server that is installed.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL is not here; install it, with apt-get install postgresql or otherwise")
	}
	return filepath.Dir(initdb), nil
}

// unprivileged is somebody other than root.
func unprivileged() (*syscall.Credential, error) {
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
