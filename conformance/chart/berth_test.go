package chart

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// berthConfig prints the settings that berth would use with a configuration file.
func berthConfig(t *testing.T, file string) map[string]any {
	t.Helper()
	bin := os.Getenv("BERTH_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "berth")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/berth")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build ./cmd/berth: %v\n%s", err, out)
		}
	}
	path := filepath.Join(t.TempDir(), "berth.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	config := exec.CommandContext(t.Context(), bin, "config", "--config", path)
	config.Env = []string{} // nothing but the file has a say
	out, err := config.CombinedOutput()
	if err != nil {
		t.Fatalf("berth config: %v\n%s\nwith\n%s", err, out, file)
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal(out, &settings); err != nil {
		t.Fatal(err)
	}
	return settings
}

// schemaSettings are the keys that values.schema.json allows in config.
func schemaSettings(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct{ Properties map[string]any }
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(schema.Properties["config"].Properties))
}

// TestBerthReadsConfig gives berth the file that the chart makes for one node.
func TestBerthReadsConfig(t *testing.T) {
	r := render(t, "single")
	asked, got := r.config(t), berthConfig(t, r.file(t))
	for key, want := range asked {
		if strings.HasSuffix(key, "-timeout") || slices.Contains([]string{"token-lifetime", "upload-expiry", "gc-grace", "tag-history", "scrub-every", "lifecycle-every", "scan-rematch", "scan-db-every", "scan-db-max-age"}, key) {
			continue // berth writes 90s as 1m30s
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got[key])
		if string(a) != string(b) {
			t.Errorf("%s: berth reads %s, and the chart wrote %s", key, b, a)
		}
	}

	// Every setting that the chart offers is in that file, so berth knows it, and what berth has more the chart sets itself.
	for _, key := range schemaSettings(t) {
		if asked[key] == nil {
			t.Errorf("testdata/single.yaml does not try out config.%s", key)
		}
	}
	own := []string{
		"addr", "admin-addr", "admin-password", "data", "database", "drain-timeout", "secret-key", "storage", "tls-cert", "tls-key",
		"tls-auto", "acme-url", // certificates are the Ingress's or in tls.existingSecret
		"oidc-allow-http",                                                                                            // for tests
		"scanner", "no-scanner", "scanner-data", "scanner-workers", "scanner-memory", "scanner-disk", "scanner-time", // scanners have pods of their own
	}
	for key := range got {
		if !slices.Contains(schemaSettings(t), key) && !slices.Contains(own, key) {
			t.Errorf("berth has the setting %s, and values.schema.json does not allow it in config", key)
		}
	}
}
