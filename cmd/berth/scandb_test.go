package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"berth/scan"
	"berth/scan/database/databasetest"
)

// databaseCommands adds commands about vulnerability databases:
//
//	vulndb FILE AGE [java]  write the layer of a database that was made AGE ago
//	slowdb NAME FILE        set $NAME to a reference of a database that never comes to its end
//	asked                   wait until somebody fetches that
func databaseCommands(t *testing.T, commands map[string]func(*testscript.TestScript, bool, []string)) {
	asked := make(chan struct{}, 1)
	commands["vulndb"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) < 2 {
			ts.Fatalf("usage: vulndb FILE AGE [java]")
		}
		age, err := time.ParseDuration(args[1])
		ts.Check(err)
		kind := scan.Vulnerabilities
		if len(args) == 3 {
			kind = scan.Java
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), databasetest.Layer(t, kind, time.Now().Add(-age).UTC().Truncate(time.Second)), 0o600))
	}
	commands["slowdb"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 2 {
			ts.Fatalf("usage: slowdb NAME FILE")
		}
		layer := []byte(ts.ReadFile(args[1]))
		up := databasetest.NewUpstream(t)
		up.Push(t, "db:2", databasetest.LayerType, layer)
		up.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, digest.FromBytes(layer).String()) {
				return false
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(layer)))
			w.Write(layer[:len(layer)-20])
			w.(http.Flusher).Flush()
			asked <- struct{}{}
			<-r.Context().Done()
			return true
		}
		ts.Setenv(args[0], up.Reference("db:2"))
	}
	commands["asked"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		select {
		case <-asked:
		case <-time.After(20 * time.Second):
			ts.Fatalf("nobody asks")
		}
	}
}
