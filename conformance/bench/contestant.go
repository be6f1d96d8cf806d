package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/conformance/internal/cluster"
	"berth/conformance/internal/server"
)

// The contestants that every run has. The table's ratios are between them.
const (
	bareLoop     = "bare loop"
	berth        = "berth"
	distribution = "Distribution"
)

// contestant is a registry to be measured.
type contestant struct {
	name   string
	binary string // empty for a peer that runs already
	user   string
	pass   string
	tags   bool // has tag lists; the bare loop has not

	// launch starts the registry with its data in dir and returns once it answers. Nil for a peer.
	launch func(ctx context.Context, dir string) (*running, error)
	// relaunch starts it on what it has stored before. Nil for a peer.
	relaunch func(ctx context.Context, dir string) (*running, error)
	peer     *running
}

// running is a contestant that answers requests.
type running struct {
	url   string
	admin string        // URL of health and metrics; empty for all but berth
	pid   int           // zero if nobody said
	took  time.Duration // from start to first answer
	stop  func() error

	// command runs a command of the binary on the data of the server and returns what it prints. Nil for all but berth.
	command func(ctx context.Context, args ...string) ([]byte, error)

	// database is how many bytes the metadata take on the disk. Nil for all but berth.
	database func(ctx context.Context) (int64, error)
}

// start launches c, or hands out the peer that runs already.
func (c *contestant) start(ctx context.Context, dir string) (*running, error) {
	if c.peer != nil {
		return c.peer, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r, err := c.launch(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return r, nil
}

// poll is how often a registry that starts is asked: the answer is a start-up time.
const poll = 2 * time.Millisecond

// launcher starts a program that listens on an address and answers GET /v2/ once it is up.
// With house it comes to live in it.
func launcher(name, binary string, house bool, args func(addr, dir string, h *home) ([]string, error)) func(context.Context, string) (*running, error) {
	return func(ctx context.Context, dir string) (*running, error) {
		addr, err := server.FreeAddr()
		if err != nil {
			return nil, err
		}
		h, err := openHome(ctx, dir, house, false)
		if err != nil {
			return nil, err
		}
		a, err := args(addr, dir, h)
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		begun := time.Now()
		p, err := server.Start(ctx, server.Command{
			Name: name, Path: binary, Args: a, Env: []string{
				"AWS_ACCESS_KEY_ID=" + cluster.AccessKey, "AWS_SECRET_ACCESS_KEY=" + cluster.SecretKey, "BUCKET=" + cluster.Bucket,
			},
			Log: filepath.Join(dir, "log"), Ready: server.Answers("http://" + addr + "/v2/"), Poll: poll,
		})
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		stop := func() error { return errors.Join(p.Stop(), h.close()) }
		return &running{url: "http://" + addr, pid: p.PID(), took: time.Since(begun), stop: stop}, nil
	}
}

// home is where a contestant keeps things if not on its own disk.
type home struct {
	s3       *cluster.S3
	postgres *cluster.Postgres // nil for those who have no use for it
}

// openHome starts the servers on what they have below dir; without remote there is no need to.
func openHome(ctx context.Context, dir string, remote, database bool) (h *home, err error) {
	h = &home{}
	if !remote {
		return h, nil
	}
	if h.s3, err = cluster.StartS3(ctx, filepath.Join(dir, "s3")); err == nil && database {
		h.postgres, err = cluster.StartPostgres(ctx, filepath.Join(dir, "postgres"))
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *home) close() (err error) {
	if h.s3 != nil {
		err = h.s3.Stop()
	}
	if h.postgres != nil {
		err = errors.Join(err, h.postgres.Stop())
	}
	return err
}

func newBareLoop(binary string, s3 bool) *contestant {
	launch := launcher("bareloop", binary, s3, func(addr, dir string, h *home) ([]string, error) {
		args := []string{"-addr", addr, "-data", filepath.Join(dir, "data")}
		if h.s3 != nil {
			args = append(args, "-s3", h.s3.Addr)
		}
		return args, nil
	})
	return &contestant{name: bareLoop, binary: binary, launch: launch, relaunch: launch}
}

// newDistribution has no authentication, says nothing to its log, and keeps its blobs where the others do.
func newDistribution(binary string, s3 bool) *contestant {
	launch := launcher("registry", binary, s3, func(addr, dir string, h *home) ([]string, error) {
		driver := fmt.Sprintf("filesystem: {rootdirectory: %q}", filepath.Join(dir, "data"))
		if h.s3 != nil {
			driver = fmt.Sprintf("s3: {bucket: %q, accesskey: %q, secretkey: %q, region: us-east-1, regionendpoint: %q, forcepathstyle: true, secure: false}",
				cluster.Bucket, cluster.AccessKey, cluster.SecretKey, "http://"+h.s3.Addr)
			driver += "\n  redirect: {disable: true}"
		}
		config := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  %s
  delete: {enabled: true}
http: {addr: %q}
`, driver, addr)
		path := filepath.Join(dir, "config.yml")
		return []string{"serve", path}, os.WriteFile(path, []byte(config), 0o644)
	})
	return &contestant{name: distribution, binary: binary, tags: true, launch: launch, relaunch: launch}
}

// newBerth runs with authentication on and its request log in a file, as `berth serve` does it; args are added. With a
// folder, that one is what its start is timed on.
func newBerth(binary string, args []string, folder string, s3 bool) *contestant {
	c := &contestant{name: berth, binary: binary, user: server.User, pass: server.Password, tags: true}
	c.launch = launchBerth(binary, args, "", s3)
	c.relaunch = launchBerth(binary, args, folder, s3)
	return c
}

// launchBerth serves folder or, without one, a folder below dir, or else a bucket and PostgreSQL.
func launchBerth(binary string, args []string, folder string, s3 bool) func(context.Context, string) (*running, error) {
	return func(ctx context.Context, dir string) (*running, error) {
		data := folder
		if data == "" && !s3 {
			data = filepath.Join(dir, "data")
		}
		h, err := openHome(ctx, dir, s3, true)
		if err != nil {
			return nil, err
		}
		args, where, env := args, []string{"--data", data}, os.Environ()
		if s3 {
			secret := filepath.Join(dir, "secret.key")
			if err := os.WriteFile(secret, []byte(server.Password+server.Password+server.Password), 0o600); err != nil {
				return nil, errors.Join(err, h.close())
			}
			where = []string{"--database", h.postgres.URL, "--storage", h.s3.URL}
			args = slices.Concat(where, []string{"--secret-key", secret}, args)
			env = append(env, "BERTH_SECRET_KEY="+secret) // for those commands that have use for it
		}
		begun := time.Now()
		b, err := server.StartBerth(ctx, binary, data, server.Options{
			Args: args, Log: filepath.Join(dir, "log"), Poll: poll,
		})
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		stop := func() error { return errors.Join(b.Stop(), h.close()) }
		// Ready is not enough: the first answer is the registry's.
		if err := server.Answers("http://" + b.Addr + "/v2/")(); err != nil {
			return nil, errors.Join(err, stop())
		}
		return &running{
			url: "http://" + b.Addr, admin: "http://" + b.Admin, pid: b.PID(), took: time.Since(begun), stop: stop,
			command: func(ctx context.Context, args ...string) ([]byte, error) {
				cmd := exec.CommandContext(ctx, binary, append(args, where...)...)
				cmd.Env = env
				out, err := cmd.Output()
				if err != nil {
					err = fmt.Errorf("berth %s: %w", args[0], err)
				}
				return out, err
			},
			database: func(ctx context.Context) (int64, error) { return databaseSize(ctx, h, data) },
		}, nil
	}
}

// databaseSize is that of PostgreSQL or, without it, of SQLite's files in a data folder.
func databaseSize(ctx context.Context, h *home, data string) (int64, error) {
	if h.postgres != nil {
		answer, err := h.postgres.Query(ctx, "SELECT pg_database_size(current_database())")
		if err != nil {
			return 0, err
		}
		return strconv.ParseInt(answer, 10, 64)
	}
	files, err := filepath.Glob(filepath.Join(data, "berth.db*"))
	if err != nil {
		return 0, err
	}
	var total int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, nil
}

// newPeer is a registry that runs already, given as name=URL or name=URL,PID. The URL may carry user and password.
func newPeer(s string) (*contestant, error) {
	name, rest, ok := strings.Cut(s, "=")
	if !ok {
		return nil, fmt.Errorf("peer %q is not name=URL[,PID]", s)
	}
	address, pid, _ := strings.Cut(rest, ",")
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	c := &contestant{name: name, tags: true}
	if u.User != nil {
		c.user = u.User.Username()
		c.pass, _ = u.User.Password()
		u.User = nil
	}
	c.peer = &running{url: strings.TrimSuffix(u.String(), "/"), stop: func() error { return nil }}
	if pid != "" {
		if c.peer.pid, err = strconv.Atoi(pid); err != nil {
			return nil, fmt.Errorf("peer %q: %w", s, err)
		}
	}
	return c, nil
}
