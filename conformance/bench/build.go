package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"berth/conformance/internal/tools"
)

// distributionProgram is the release of CNCF Distribution that is measured.
var distributionProgram = tools.Program{Module: "github.com/distribution/distribution/v3", Version: "v3.1.2", Package: "cmd/registry"}

// buildBareLoop builds the bare loop into dir.
func buildBareLoop(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "bareloop")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", file, "berth/conformance/bench/bareloop").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
}
