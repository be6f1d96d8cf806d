package chart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const chartDir = "../../deploy/chart"

// helmModule is what conformance/clients/install.sh installs too.
const helmModule = "helm.sh/helm/v4/cmd/helm@v4.3.1"

// kubeVersion is the cluster's that helm is told to think of: the oldest that the chart takes.
const kubeVersion = "1.30.0"

// helmBinary is found before the first test.
var helmBinary string

func TestMain(m *testing.M) {
	var err error
	if helmBinary, err = findHelm(); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func findHelm() (string, error) {
	cache := os.Getenv("BERTH_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "berth")
	}
	pinned := filepath.Join(cache, "bin", "helm")
	if _, err := os.Stat(pinned); err == nil {
		return pinned, nil
	}
	if found, err := exec.LookPath("helm"); err == nil {
		return found, nil
	}
	install := exec.Command("go", "install", helmModule)
	install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(pinned), "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w\n%s", helmModule, err, out)
	}
	return pinned, nil
}

// helm runs helm and returns what it prints to stdout.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), helmBinary, args...)
	// No settings and no cluster of the user's.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// template renders the chart with values from testdata and whatever else the arguments of helm say.
func template(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	all := []string{"template", chartDir, "--name-template", "berth", "--namespace", "registry", "--kube-version", kubeVersion}
	if values != "" {
		all = append(all, "--values", filepath.Join("testdata", values+".yaml"))
	}
	return helm(t, append(all, args...)...)
}
