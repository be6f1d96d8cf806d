package ecr_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"berth/registry/ecr"
)

// TestCompatibilityTable: the table of operations in docs names those that are there.
func TestCompatibilityTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/ecr-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z][A-Za-z]+) \| (done|differs|refused|added) \|`).FindAllStringSubmatch(string(page), -1) {
		if listed[row[1]] {
			t.Errorf("%s is listed twice", row[1])
		}
		listed[row[1]] = true
	}
	known := slices.Sorted(slices.Values(ecr.Operations()))
	if names := slices.Sorted(maps.Keys(listed)); !slices.Equal(names, known) {
		t.Errorf("the page lists %d operations, and there are %d:\n%v\n%v", len(names), len(known), names, known)
	}
}
