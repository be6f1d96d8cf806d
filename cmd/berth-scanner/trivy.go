//go:build goexperiment.jsonv2

package main

import (
	"log/slog"
	"os"

	"berth/scan"
	"berth/scan/trivy"
)

// hasEngine says that Trivy is linked.
const hasEngine = true

// newScanner is Trivy, which writes to the folder that the worker has given to the engine.
func newScanner() (scan.Scanner, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return trivy.New(trivy.Options{Temp: os.TempDir(), Log: log})
}
