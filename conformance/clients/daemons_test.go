package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"berth/conformance/internal/server"
)

// A daemon is what a client needs beside it.
type daemon struct {
	args  func(dir string) []string                  // how it is started with everything it has in dir
	ready func(dir string) (name string, a []string) // a command that succeeds once it is up
	env   func(dir string) (key, value string)       // what tells the client where it is
}

// Each has its socket and its data in a folder of its own, and no network: images come through the registry alone.
var daemons = map[string]daemon{
	"dockerd": {
		args: func(dir string) []string {
			return []string{
				"--data-root", dir + "/root", "--exec-root", dir + "/exec", "--host", "unix://" + dir + "/sock",
				"--pidfile", dir + "/pid", "--iptables=false", "--ip6tables=false", "--bridge=none",
			}
		},
		ready: func(dir string) (string, []string) {
			return "docker", []string{"--host", "unix://" + dir + "/sock", "version"}
		},
		env: func(dir string) (string, string) { return "DOCKER_HOST", "unix://" + dir + "/sock" },
	},
	"containerd": {
		args: func(dir string) []string {
			return []string{"--root", dir + "/root", "--state", dir + "/state", "--address", dir + "/sock", "--config", dir + "/config.toml"}
		},
		ready: func(dir string) (string, []string) { return "ctr", []string{"--address", dir + "/sock", "version"} },
		env:   func(dir string) (string, string) { return "CONTAINERD_ADDRESS", dir + "/sock" },
	},
}

// start is the script command `start dockerd` or `start containerd`. The daemon lives as long as the script.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || daemons[args[0]].args == nil {
		ts.Fatalf("usage: start dockerd|containerd")
	}
	name := args[0]
	d := daemons[name]
	path, err := exec.LookPath(name)
	if err != nil {
		ts.Fatalf("%s is not installed; run conformance/clients/install.sh", name)
	}
	// Not below $WORK: the path of a socket has 108 bytes, and what a daemon mounts must be gone before the folder goes.
	dir, err := os.MkdirTemp("", "berth-"+name+"-")
	ts.Check(err)
	// The system's configuration is not ours; version 2 is what containerd 1.x and 2.x both read.
	ts.Check(os.WriteFile(filepath.Join(dir, "config.toml"), []byte("version = 2\n"), 0o644))
	p, err := server.Start(context.Background(), server.Command{
		Name: name,
		Path: path,
		Args: d.args(dir),
		Log:  filepath.Join(dir, "log"),
		Ready: func() error {
			client, args := d.ready(dir)
			out, err := exec.Command(client, args...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		},
		Poll: 200 * time.Millisecond,
		Wait: time.Minute,
	})
	if err != nil {
		os.RemoveAll(dir)
		ts.Fatalf("%v", err)
	}
	ts.Defer(func() {
		if err := p.Stop(); err != nil {
			ts.Logf("%v", err)
		}
		os.RemoveAll(dir)
	})
	ts.Setenv(d.env(dir))
}
