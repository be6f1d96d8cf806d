package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/scan"
	"berth/scan/remote"

	"github.com/opencontainers/go-digest"
)

// The test binary is an engine, or a worker, if this variable says so.
const roleVariable = "BERTH_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "engine":
		out := os.NewFile(3, "to the worker")
		if err := Engine(context.Background(), &fakeScanner{out: out}, os.Stdin, out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "worker":
		runWorkerProcess(os.Args[1], os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// engineCommand runs an engine of this binary; mark is an argument to find it by.
func engineCommand(mark string) (command, env []string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return []string{self, mark}, []string{roleVariable + "=engine"}
}

// runWorkerProcess is a worker in a process of its own.
func runWorkerProcess(registry, data string) {
	client, err := remote.NewClient(registry, remote.ClientOptions{})
	if err != nil {
		panic(err)
	}
	command, env := engineCommand(data)
	w, err := New(Options{
		Registry: registry, Client: client, Engine: command, Env: env, Data: data,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err == nil {
		err = w.Run(context.Background())
	}
	panic(err)
}

// fakeScanner does what the name of the repository says.
type fakeScanner struct {
	out      io.Writer // to the worker
	database string    // the content of trivy.db
}

func (s *fakeScanner) Name() string { return "fake 1.0" }

func (s *fakeScanner) Use(kind scan.DatabaseKind, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, databaseFiles[kind][0]))
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(string(b), "unreadable"):
		return errors.New("it is no database")
	case strings.HasPrefix(string(b), "deadly"):
		panic("the database is deadly")
	case kind == scan.Vulnerabilities:
		s.database = string(b)
	}
	return nil
}

func (s *fakeScanner) Match(_ context.Context, inventory json.RawMessage) ([]scan.Finding, error) {
	if s.database == "" {
		return nil, scan.ErrNoDatabase
	}
	return []scan.Finding{{ID: "CVE-" + s.database, Severity: scan.High, Package: scan.Package{Name: "<b>openssl</b>", Type: "debian"}}}, nil
}

func (s *fakeScanner) Inventory(ctx context.Context, img scan.Image, cache scan.LayerCache) (scan.Inventory, error) {
	_, what, _ := strings.Cut(string(img.Repository), "/")
	if do := behaviours[what]; do != nil {
		if err := do(s); err != nil {
			return scan.Inventory{}, err
		}
	}
	var manifest struct {
		Layers []struct{ Digest digest.Digest }
	}
	if err := json.Unmarshal(img.Manifest, &manifest); err != nil {
		return scan.Inventory{}, err
	}
	keys := make([]string, len(manifest.Layers))
	for i, l := range manifest.Layers {
		keys[i] = l.Digest.String()
	}
	missing, err := cache.Missing(ctx, keys)
	if err != nil {
		return scan.Inventory{}, err
	}
	var packages []string
	for _, key := range keys {
		var found []byte
		if slices.Contains(missing, key) {
			layer, err := img.Open(ctx, digest.Digest(key))
			if err != nil {
				return scan.Inventory{}, err
			}
			found, err = io.ReadAll(layer)
			layer.Close()
			if err != nil {
				return scan.Inventory{}, err
			}
			err = cache.PutLayer(ctx, key, found)
			if err != nil {
				return scan.Inventory{}, err
			}
		} else if found, err = cache.Layer(ctx, key); err != nil {
			return scan.Inventory{}, err
		}
		packages = append(packages, string(found[:min(len(found), 20)]))
	}
	doc, err := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "packages": packages})
	return scan.Inventory{CycloneDX: doc, OS: "debian 12", Packages: len(packages)}, err
}

// held keeps what a behaviour has allocated.
var held [][]byte

// behaviours are what images do to a scanner, by the second part of the repository's name.
var behaviours = map[string]func(s *fakeScanner) error{
	"memory": func(*fakeScanner) error { // slowly, so that the worker sees it
		for {
			allocate(4 << 20)
			time.Sleep(5 * time.Millisecond)
		}
	},
	"burst": func(*fakeScanner) error { // faster than anybody looks
		for {
			allocate(64 << 20)
		}
	},
	"sleep": func(*fakeScanner) error { time.Sleep(time.Hour); return nil },
	"slow":  func(*fakeScanner) error { time.Sleep(1500 * time.Millisecond); return nil },
	"disk": func(*fakeScanner) error {
		for i := 0; ; i++ {
			if err := os.WriteFile(temporary(i), make([]byte, 1<<20), 0o600); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	},
	"files": func(*fakeScanner) error { // that are all empty
		for i := 0; ; i++ {
			if err := os.WriteFile(temporary(i), nil, 0o600); err != nil {
				return err
			}
		}
	},
	"file": func(*fakeScanner) error { // a single one, at once
		f, err := os.Create(temporary(0))
		if err != nil {
			return err
		}
		defer f.Close()
		for {
			if _, err := f.Write(make([]byte, 32<<20)); err != nil {
				return fmt.Errorf("unpacking: %w", err)
			}
		}
	},
	"panic":     func(*fakeScanner) error { panic("index out of range in a parser") },
	"goroutine": func(*fakeScanner) error { go panic("somewhere else"); time.Sleep(time.Hour); return nil },
	"exit":      func(*fakeScanner) error { fmt.Fprintln(os.Stderr, "a library gives up"); os.Exit(3); return nil },
	"clean":     func(*fakeScanner) error { os.Exit(0); return nil },
	"killed": func(*fakeScanner) error {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
		return nil
	},
	"babble":  func(s *fakeScanner) error { fmt.Fprintln(s.out, "this is no JSON"); time.Sleep(time.Hour); return nil },
	"lies":    func(s *fakeScanner) error { fmt.Fprintln(s.out, `{"used":{}}`); time.Sleep(time.Hour); return nil },
	"prints":  func(*fakeScanner) error { fmt.Println("to stdout"); return nil },
	"broken":  func(*fakeScanner) error { return errors.New("gzip: invalid header") },
	"nothing": func(*fakeScanner) error { return scan.ErrNothingFound },
	"leaves":  func(*fakeScanner) error { return os.WriteFile(temporary(0), []byte("left"), 0o400) },
	"locks": func(*fakeScanner) error { // a folder that its owner may not change
		dir := temporary(0)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "inside"), nil, 0o600); err != nil {
			return err
		}
		return os.Chmod(dir, 0o500)
	},
	"child": func(*fakeScanner) error { // leaves a process behind, which holds its output open
		if err := exec.Command("sleep", "3600").Start(); err != nil {
			return err
		}
		cmd := exec.Command("sleep", "3600")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		os.Exit(1)
		return nil
	},
}

func allocate(n int) {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	held = append(held, b)
}

func temporary(i int) string { return filepath.Join(os.TempDir(), fmt.Sprintf("file-%d", i)) }
