package meta_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"berth/auth/token"
	"berth/registry"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// Variables that name the database in a process of its own, and what it does.
const (
	opener = "BERTH_META_OPENER" // opens the URL, writes a little, closes it
	victim = "BERTH_META_VICTIM" // writes until it is killed
)

func TestMain(m *testing.M) {
	if path := os.Getenv(opener); path != "" {
		beOpener(path)
	} else if path := os.Getenv(victim); path != "" {
		beVictim(path)
	} else {
		pgtest.Main(m)
	}
}

func beOpener(path string) {
	ctx := context.Background()
	db, err := meta.Open(ctx, path, meta.Options{})
	if err == nil {
		err = errors.Join(db.Update(ctx, ensure(ctx, "a")), db.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beVictim writes as fast as it can and says what has been acknowledged. Every
// transaction makes two repositories that belong together.
func beVictim(path string) {
	ctx := context.Background()
	db, err := meta.Open(ctx, "sqlite:"+path, meta.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for worker := range 4 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("p%d/w%d/%d", os.Getpid(), worker, n)
				err := db.Update(ctx, func(tx *meta.Tx) error {
					if _, _, err := tx.CreateRepository(ctx, registry.Name(name), registry.Settings{}); err != nil {
						return err
					}
					_, _, err := tx.CreateRepository(ctx, registry.Name(name+"/twin"), registry.Settings{})
					return err
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(name)
			}
		}()
	}
	select {}
}

// TestKill kills a process that writes, at random moments.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "berth.db")
	var acknowledged []registry.Name
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() { // it writes
			t.Fatal("the process says nothing")
		}
		acknowledged = append(acknowledged, registry.Name(lines.Text()))
		time.AfterFunc(time.Duration(rand.IntN(80))*time.Millisecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			acknowledged = append(acknowledged, registry.Name(lines.Text()))
		}
		cmd.Wait() // it was killed
	}
	db := openAt(t, path, meta.Options{})
	for _, name := range acknowledged {
		if _, err := db.Repository(t.Context(), name); err != nil {
			t.Errorf("%s was acknowledged: %v", name, err)
		}
	}
	all, err := db.Repositories(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	there := map[registry.Name]bool{}
	for _, name := range all {
		there[name] = true
	}
	for _, name := range all {
		if filepath.Base(string(name)) != "twin" && !there[name+"/twin"] {
			t.Errorf("%s is there without its twin", name)
		}
	}
	t.Logf("%d kills, %d transactions acknowledged, %d found", rounds, len(acknowledged), len(all)/2)
	if err := db.AddKey(t.Context(), token.Key{ID: "k", Private: []byte("x"), CreatedAt: time.Now()}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
