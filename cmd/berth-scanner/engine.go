package main

import (
	"context"
	"errors"
	"os"

	"berth/scan/worker"
)

// errNoEngine is told by a binary that was built the plain way.
var errNoEngine = errors.New("this binary has no engine; build it with GOEXPERIMENT=jsonv2 go build ./cmd/berth-scanner")

// runEngine speaks with the worker that has started this process, over descriptors 0 and 3.
func runEngine(ctx context.Context) error {
	s, err := newScanner()
	if err != nil {
		return err
	}
	out := os.NewFile(3, "to the worker")
	if _, err := out.Stat(); err != nil {
		return errors.New("berth-scanner starts the engine itself")
	}
	return worker.Engine(ctx, s, os.Stdin, out)
}
