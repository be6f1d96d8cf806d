package chart

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestReadme: the table in README.md has every value, and no other.
func TestReadme(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(chartDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(read("values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{} // and whether the table has it
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		if prefix != "" {
			known[prefix] = false
		}
		if inner, ok := value.(map[string]any); ok {
			for key, v := range inner {
				walk(strings.TrimPrefix(prefix+"."+key, "."), v)
			}
		}
	}
	walk("", values)

	_, table, _ := strings.Cut(read("README.md"), "## Values")
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if _, ok := known[name[1]]; !ok {
				t.Errorf("README.md has %s, values.yaml has not", name[1])
			}
			for key := range known {
				if key == name[1] || strings.HasPrefix(key, name[1]+".") {
					known[key] = true
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		isGroup := slices.ContainsFunc(slices.Collect(maps.Keys(known)), func(k string) bool { return strings.HasPrefix(k, key+".") })
		if !known[key] && !isGroup {
			t.Errorf("values.yaml has %s, README.md has not", key)
		}
	}
}
