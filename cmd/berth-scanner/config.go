package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"berth/registry"
	"berth/scan/remote"
	"berth/scan/worker"
)

// flags are the settings. Each is also BERTH_SCANNER_<NAME> in the environment.
type flags struct {
	VersionFlag kong.VersionFlag `name:"version" env:"-" help:"Print the version."`

	Registry     string `required:"" placeholder:"URL" help:"The registry, such as https://registry.example.com."`
	User         string `placeholder:"NAME" help:"User or robot to log in as; it needs ecr:ScanImages, and nothing else."`
	PasswordFile string `placeholder:"FILE" help:"File with the password of the user; BERTH_SCANNER_PASSWORD may have it instead."`

	Data    string        `default:"./berth-scanner-data" placeholder:"DIR" help:"Folder for databases and temporary files, which no other worker uses."`
	Workers int           `default:"1" help:"Images that are looked at at once; each takes a processor, and memory and disk up to the limits."`
	Memory  size          `default:"600MiB" help:"Memory that looking at an image may take."`
	Disk    size          `default:"10GiB" help:"Temporary files that looking at an image may take."`
	Time    time.Duration `default:"5m" help:"How long looking at an image may take."`
	Name    string        `placeholder:"NAME" help:"What operators know the worker by; host and process by default."`

	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Least severity that is logged: ${enum}."`
	LogFormat string `default:"auto" enum:"auto,text,json" help:"Form of the log: ${enum}; auto is text on a terminal and json otherwise."`
}

// Variables of the environment that are no flags, so that nobody writes a secret where the
// list of processes shows it.
const (
	tokenVariable    = "BERTH_SCANNER_TOKEN" // that berth serve gives to the worker that it runs
	passwordVariable = "BERTH_SCANNER_PASSWORD"
)

// size is a number of bytes, given as 600MiB.
type size int64

// UnmarshalText reads a size.
func (s *size) UnmarshalText(text []byte) error {
	n, err := registry.ParseSize(string(text))
	*s = size(n)
	return err
}

// Validate finds what no single flag can.
func (f flags) Validate() error {
	switch {
	case f.Workers < 1 || f.Workers > 1000:
		return errors.New("--workers must be from 1 to 1000")
	case f.Memory < 64<<20:
		return errors.New("--memory must be 64MiB at least; most images need some hundreds")
	case f.Disk < 64<<20:
		return errors.New("--disk must be 64MiB at least")
	case f.Time < time.Second:
		return errors.New("--time must be a second at least")
	case f.User == "" && f.PasswordFile != "":
		return errors.New("--password-file needs --user")
	}
	return nil
}

// authorize says how requests show who the worker is.
func (f flags) authorize() (func(*http.Request), error) {
	if token := os.Getenv(tokenVariable); token != "" {
		if f.User != "" {
			return nil, fmt.Errorf("--user has no effect, because %s is set: unset one of them", tokenVariable)
		}
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, nil
	}
	if f.User == "" {
		return nil, errors.New("--user is missing: make a robot for it on the registry, with berth robot add, and give its secret by --password-file")
	}
	password := os.Getenv(passwordVariable)
	if f.PasswordFile != "" {
		b, err := os.ReadFile(f.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	if password == "" {
		return nil, fmt.Errorf("there is no password for %s: give it by --password-file or in %s", f.User, passwordVariable)
	}
	return func(r *http.Request) { r.SetBasicAuth(f.User, password) }, nil
}

// work does jobs until ctx ends.
func (f flags) work(ctx context.Context, errs io.Writer) error {
	authorize, err := f.authorize()
	if err != nil {
		return err
	}
	log := newLogger(errs, f.LogFormat, f.LogLevel)
	client, err := remote.NewClient(f.Registry, remote.ClientOptions{Authorize: authorize, Logger: log})
	if err != nil {
		return fmt.Errorf("--registry: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Options{
		Registry: f.Registry, Client: client,
		Engine: []string{self, engineArgument},
		Data:   f.Data, Workers: f.Workers, Name: f.Name, Logger: log,
		Limits: worker.Limits{Memory: int64(f.Memory), Disk: int64(f.Disk), Time: f.Time},
	})
	if err != nil {
		return err
	}
	log.Info("berth-scanner is ready", "version", version, "registry", f.Registry, "workers", f.Workers)
	err = w.Run(ctx)
	log.Info("berth-scanner has stopped")
	return err
}

// newLogger writes text for a person at a terminal and JSON for everybody else.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	if format == "auto" {
		format = "json"
		if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			format = "text"
		}
	}
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // one of the enum
	opts := &slog.HandlerOptions{Level: least}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
