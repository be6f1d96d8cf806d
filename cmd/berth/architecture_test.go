package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const architecture = "../../docs/architecture.md"

// TestImports holds the table in docs/architecture.md against the code.
func TestImports(t *testing.T) {
	table := importTable(t)
	for _, p := range listPackages(t) {
		allowed, ok := table.find(p.path())
		if !ok {
			t.Errorf("%s has no row in %s", p.path(), architecture)
			continue
		}
		for _, i := range p.Imports {
			if own, found := strings.CutPrefix(i, "berth/"); found && !matchesAny(allowed, own) {
				t.Errorf("%s imports %s, which %s does not allow", p.path(), own, architecture)
			}
			if isSQL(i) && !mayUseSQL(p.path(), i) {
				t.Errorf("%s imports %s; only storage/meta may", p.path(), i)
			}
		}
	}
}

// isSQL reports whether a package is database/sql or one of its drivers.
func isSQL(path string) bool {
	return slices.ContainsFunc([]string{"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx"}, func(p string) bool {
		return path == p || strings.HasPrefix(path, p+"/")
	})
}

// mayUseSQL reports whether a package may import one of these. scan/trivy links the driver
// for Trivy, which reads the databases of RPM and its index of Java archives with it.
func mayUseSQL(path, imported string) bool {
	return path == "storage/meta" || path == "storage/meta/pgtest" || path == "scan/trivy" && imported == "modernc.org/sqlite"
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func (p goPackage) path() string { return strings.TrimPrefix(p.ImportPath, "berth/") }

func listPackages(t *testing.T) []goPackage {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "berth/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list knows only %d packages", len(packages))
	}
	return packages
}

// rule is a row of the table: what the packages of these patterns may import.
type rule struct{ packages, imports []string }

type rules []rule

// find returns what a package may import. The first row that names it counts.
func (r rules) find(path string) (allowed []string, ok bool) {
	for _, row := range r {
		if matchesAny(row.packages, path) {
			return row.imports, true
		}
	}
	return nil, false
}

func importTable(t *testing.T) rules {
	b, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "| package | may import |\n| --- | --- |\n")
	if !found {
		t.Fatalf("%s has no table of imports", architecture)
	}
	var table rules
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 {
			break
		}
		table = append(table, rule{list(cells[1]), list(cells[2])})
	}
	return table
}

func list(cell string) []string {
	var all []string
	for item := range strings.SplitSeq(cell, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, below := strings.CutSuffix(p, "/…")
		return p == "everything" || p == path || below && strings.HasPrefix(path, prefix+"/")
	})
}
