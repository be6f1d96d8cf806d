package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
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
	Args []string      // further arguments of serve, such as --sparse
	Scan string        // the binary that looks for vulnerabilities; empty means that nothing does
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
	args = append(append(args, scanning(o.Scan)...), o.Args...)
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

// scanning are the arguments of serve that have a scanner run, or none, even if there is one beside berth. No database
// of vulnerabilities is fetched from the internet.
func scanning(scanner string) []string {
	args := []string{"--scan-db", "off", "--scan-java-db", "off"}
	if scanner == "" {
		return append(args, "--no-scanner")
	}
	return append(args, "--scanner", scanner)
}
