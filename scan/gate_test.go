package scan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/registry"
	"berth/scan"
)

func TestGateFor(t *testing.T) {
	gates := []scan.Gate{}
	for _, p := range []string{"*", "team/*", "team/app", "team/app*", "team/*-dev", "?eam/app/x", "*/dev"} {
		gates = append(gates, scan.Gate{Repository: p})
	}
	scan.SortGates(gates)
	for repo, want := range map[registry.Name]string{
		"team/app":     "team/app",
		"team/app2":    "team/app*",
		"team/x":       "team/*",
		"team/x-dev":   "team/*-dev", // as much before the star, and longer
		"shop":         "*",
		"shop/dev":     "*/dev",
		"team/app/x":   "team/app*",
		"team/app-dev": "team/app*",
		"beam/app/x":   "?eam/app/x", // as little before the first, and longer than *
	} {
		if g := scan.GateFor(gates, repo); g == nil || g.Repository != want {
			t.Errorf("%s has the gate %+v; want %s", repo, g, want)
		}
	}
	if g := scan.GateFor(gates[:1], "shop"); g != nil {
		t.Errorf("shop has the gate %+v", g)
	}
	again := slices.Clone(gates)
	slices.Reverse(again)
	scan.SortGates(again)
	if !slices.Equal(again, gates) {
		t.Error("the order depends on what was there before")
	}
}

func TestValidateGate(t *testing.T) {
	good := scan.Gate{Repository: "*", Mode: scan.Block, Severity: scan.High}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*scan.Gate){
		"no mode":          func(g *scan.Gate) { g.Mode = "stop" },
		"no severity":      func(g *scan.Gate) { g.Severity = "" },
		"younger":          func(g *scan.Gate) { g.After = -time.Hour },
		"no repository is": func(g *scan.Gate) { g.Repository = "a b" },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q in it", err, want)
		}
	}
}

func TestGateInWords(t *testing.T) {
	for want, g := range map[string]scan.Gate{
		"lets all images pass": {Mode: scan.Off},

		"blocks images with findings of severity HIGH or worse": {Mode: scan.Block, Severity: scan.High},

		"blocks images with findings of severity HIGH or worse that were found at least a day ago": {Mode: scan.Block, Severity: scan.High, After: 24 * time.Hour},

		"warns of images with findings of severity LOW or worse that have a fix and were found at least 7 days ago, and those that are not scanned": {Mode: scan.Warn, Severity: scan.Low, Fixable: true, After: 7 * 24 * time.Hour, Scanned: true},
	} {
		if got := fmt.Sprint(g); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
