package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"berth/auth/credhelper"
)

type credentialHelperCommand struct {
	Action string `arg:"" help:"get, store, erase, list or version; the rest comes on standard input."`
}

func (cmd credentialHelperCommand) Run(ctx context.Context, c console) error {
	err := newCredentialHelper(c).Docker(ctx, cmd.Action, c.in, c.out)
	if err == nil {
		return nil
	}
	fmt.Fprintln(c.out, err) // where docker reads it
	if !errors.Is(err, credhelper.ErrNotFound) {
		// docker pull goes on without a login and says nothing of the reason.
		fmt.Fprintf(c.err, "%s: %v\n", credhelper.DockerName, err)
	}
	return errTold
}

// runDockerHelper is run under the name that docker has for a credential helper. It reads
// no configuration of the registry's: what is wrong with that is no concern of docker's.
func runDockerHelper(ctx context.Context, args []string, c console) int {
	switch {
	case len(args) != 1:
		fmt.Fprintf(c.out, "Usage: %s <get|store|erase|list|version>\n", credhelper.DockerName)
		return exitFailed
	case args[0] == "--version" || args[0] == "-v":
		args = []string{"version"}
	}
	if err := (credentialHelperCommand{args[0]}).Run(ctx, c); err != nil {
		return exitFailed
	}
	return 0
}

type credentialProviderCommand struct{}

func (credentialProviderCommand) Run(ctx context.Context, c console) error {
	return newCredentialHelper(c).Kubelet(ctx, c.in, c.out)
}

// newCredentialHelper makes a helper for the user. Without a home, as the kubelet may be,
// it stores and remembers nothing.
func newCredentialHelper(c console) *credhelper.Helper {
	h := &credhelper.Helper{Getenv: os.Getenv, Version: version, Log: c.err}
	if home, err := os.UserHomeDir(); err == nil {
		h.Home = home
	}
	if dir, err := os.UserConfigDir(); err == nil {
		h.Config = filepath.Join(dir, "berth")
	}
	if dir, err := os.UserCacheDir(); err == nil {
		h.Cache = filepath.Join(dir, "berth")
	}
	return h
}
