package clients

import (
	"fmt"
	"io"
	"os/exec"
	"path"
	"regexp"
	"sync"
	"testing"
	"time"
)

// programs says how each program that the scripts use is asked for its version.
var programs = []struct {
	name string
	args []string
}{
	{"docker", []string{"--version"}},
	{"dockerd", []string{"--version"}},
	{"podman", []string{"--version"}},
	{"buildah", []string{"--version"}},
	{"skopeo", []string{"--version"}},
	{"containerd", []string{"--version"}},
	{"ctr", []string{"--version"}},
	{"crane", []string{"version"}},
	{"oras", []string{"version"}},
	{"regctl", []string{"version"}},
	{"helm", []string{"version", "--template", "{{.Version}}"}},
	{"cosign", []string{"version"}},
	{"aws", []string{"--version"}},
}

// results says how each script ended, by its name.
var results = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

// record notes how the script of tb ended.
func record(tb testing.TB, took time.Duration) {
	result := "passed"
	switch {
	case tb.Failed():
		result = "FAILED"
	case tb.Skipped():
		result = "SKIPPED"
	}
	results.Lock()
	defer results.Unlock()
	results.of[path.Base(tb.Name())] = fmt.Sprintf("%s in %.1f s", result, took.Seconds())
}

// versionNumber is the first thing in a program's answer that looks like a version.
var versionNumber = regexp.MustCompile(`\bv?\d+\.\d+[^\s,]*`)

// printClients writes the list of clients, with their versions and what became of their scripts.
func printClients(w io.Writer) {
	fmt.Fprintln(w, "clients:")
	for _, p := range programs {
		out, err := exec.Command(p.name, p.args...).CombinedOutput()
		version := versionNumber.FindString(string(out))
		if err != nil {
			version = err.Error()
		}
		fmt.Fprintf(w, "  %-11s %-18s %s\n", p.name, version, results.of[p.name])
	}
}
