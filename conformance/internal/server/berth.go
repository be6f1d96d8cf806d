package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The administrator that a first start creates.
const (
	User     = "admin"
	Password = "conformance-7Hq2"
)

// Berth is a berth that runs, with its data in a folder of the caller's.
type Berth struct {
	*Process
	Addr  string // host:port of the registry
	Admin string // host:port of health and metrics
}

// Options is how a berth for tests may differ from `berth serve`.
type Options struct {
	Args []string      // further arguments of serve, such as --sparse; without --scanner nothing is scanned
	Log  string        // the log file; empty means berth.log beside the data folder
	Poll time.Duration // see Command; start-up time is measured with a short one
}

// StartBerth serves the data folder with the binary at path, authentication on, on two free ports of 127.0.0.1. Without
// a folder, Args have to say where the data are, and Log is needed.
func StartBerth(ctx context.Context, path, data string, o Options) (*Berth, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if o.Log == "" {
		o.Log = filepath.Join(filepath.Dir(data), "berth.log")
	}
	args := []string{"serve", "--addr", addr, "--admin-addr", admin}
	args = append(args, "--scan-db", "off", "--scan-java-db", "off") // the internet is not for tests
	if !slices.Contains(o.Args, "--scanner") {
		args = append(args, "--no-scanner") // even if there is one beside berth
	}
	args = append(args, o.Args...)
	if data != "" {
		if err := os.MkdirAll(data, 0o755); err != nil {
			return nil, err
		}
		args = append(args, "--data", data)
	}
	p, err := Start(ctx, Command{
		Name:  "berth",
		Path:  path,
		Args:  args,
		Env:   []string{"BERTH_ADMIN_PASSWORD=" + Password},
		Log:   o.Log,
		Ready: Answers("http://"+admin+"/readyz", http.StatusOK),
		Poll:  o.Poll,
	})
	if err != nil {
		return nil, err
	}
	return &Berth{Process: p, Addr: addr, Admin: admin}, nil
}
