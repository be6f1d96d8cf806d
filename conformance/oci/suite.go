package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// suite is a program that tests a registry and leaves junit.xml and report.html.
type suite struct {
	name    string
	command string
	results string   // the folder of its reports
	env     []string // its settings
	unasked []string // tests that may be skipped
}

// run runs the suite and judges its report.
func (s suite) run(ctx context.Context) error {
	// The report of an earlier run must not pass for this one's: a suite may end with status 0 where it cannot start.
	junit := filepath.Join(s.results, "junit.xml")
	if err := os.Remove(junit); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	command := strings.Fields(s.command)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %s: %w", s.command, err)
	}
	r, err := readReport(junit)
	if err != nil {
		return fmt.Errorf("the suite left no report: %w\n%s", err, out)
	}
	r.drop(s.unasked)
	fmt.Printf("OCI conformance, %s: ", s.name)
	r.print(os.Stdout)
	fmt.Printf("report: %s\n", filepath.Join(s.results, "report.html"))
	return r.verdict()
}
