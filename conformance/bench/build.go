package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The release of CNCF Distribution that is measured.
const (
	distributionModule  = "github.com/distribution/distribution/v3"
	distributionVersion = "v3.1.2"
)

// buildBareLoop builds the bare loop into dir.
func buildBareLoop(ctx context.Context, dir string) (string, error) {
	out := filepath.Join(dir, "bareloop")
	return out, goCommand(ctx, nil, "build", "-o", out, "berth/conformance/bench/bareloop")
}

// buildDistribution installs the release in the cache, $BERTH_CACHE or ~/.cache/berth, unless it is there.
func buildDistribution(ctx context.Context) (string, error) {
	cache := os.Getenv("BERTH_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "berth")
	}
	bin := filepath.Join(cache, "bin")
	out := filepath.Join(bin, "registry")
	// A binary says which module and version it was built from.
	about, err := exec.CommandContext(ctx, "go", "version", "-m", out).Output()
	if err == nil && strings.Contains(string(about), "mod\t"+distributionModule+"\t"+distributionVersion) {
		return out, nil
	}
	progress("building CNCF Distribution %s", distributionVersion)
	return out, goCommand(ctx, []string{"GOBIN=" + bin}, "install", distributionModule+"/cmd/registry@"+distributionVersion)
}

func goCommand(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
