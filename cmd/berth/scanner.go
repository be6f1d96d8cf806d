package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"berth/registry"
	"berth/scan/worker/process"
)

// scannerFlags are about the scanner that serve runs. What is said of an image is enforced
// by the scanner itself.
type scannerFlags struct {
	Scanner        string        `placeholder:"PATH" help:"Program that looks for vulnerabilities in images, which serve runs; by default the berth-scanner beside berth, if there is one."`
	NoScanner      bool          `help:"Run none: scanners elsewhere do it, or nobody."`
	ScannerData    string        `placeholder:"DIR" help:"Folder of the scanner for databases and temporary files, which no other scanner may use; by default DATA/scanner."`
	ScannerWorkers int           `default:"1" help:"Images that the scanner looks at at once."`
	ScannerMemory  string        `default:"600MiB" help:"Memory that looking at an image may take."`
	ScannerDisk    string        `default:"10GiB" help:"Temporary files that looking at an image may take."`
	ScannerTime    time.Duration `default:"5m" help:"How long looking at an image may take."`
}

func (f scannerFlags) check() error {
	if f.Scanner != "" && f.NoScanner {
		return errors.New("--scanner and --no-scanner exclude each other")
	}
	for flag, value := range map[string]string{"scanner-memory": f.ScannerMemory, "scanner-disk": f.ScannerDisk} {
		if n, err := registry.ParseSize(value); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		} else if n < 64<<20 {
			return fmt.Errorf("--%s must be 64MiB at least", flag)
		}
	}
	if f.ScannerWorkers < 1 {
		return errors.New("--scanner-workers must be 1 at least; --no-scanner runs no scanner")
	}
	if f.ScannerTime < time.Second {
		return errors.New("--scanner-time must be a second at least")
	}
	return nil
}

// scannerPath is the program to run; empty if there is none. Errors: --scanner names
// something that cannot be run.
func (f scannerFlags) scannerPath() (string, error) {
	if f.NoScanner {
		return "", nil
	}
	if f.Scanner != "" {
		path, err := exec.LookPath(f.Scanner)
		if err != nil {
			return "", fmt.Errorf("--scanner %s cannot be run: %w", f.Scanner, err)
		}
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil // so nobody knows what is beside it
	}
	path, err := exec.LookPath(filepath.Join(filepath.Dir(self), "berth-scanner"))
	if err != nil {
		return "", nil
	}
	return path, nil
}

// superviseScanner keeps a scanner running until ctx ends, if there is one to run.
func (s *server) superviseScanner(ctx context.Context) {
	defer close(s.scannerGone)
	if s.scannerPath == "" {
		return
	}
	supervisor{
		path: s.scannerPath, url: s.scanner.url, secret: s.scanner.secret,
		data: cmp.Or(s.flags.ScannerData, filepath.Join(s.flags.Data, "scanner")), flags: s.flags.scannerFlags, log: s.log,
	}.run(ctx)
}

// supervisor runs a scanner and starts it again when it ends.
type supervisor struct {
	path   string
	url    string // where the registry listens for it alone
	secret string // that it shows there
	data   string // folder for it
	flags  scannerFlags
	log    *slog.Logger

	// Times that tests shorten; zero stands for the usual ones.
	first, most time.Duration // pause after the first death, and at most: 1 s and a minute
	healthy     time.Duration // life after which a death counts as the first: 5 minutes
	patience    time.Duration // after SIGTERM: 12 s, two more than a worker takes
}

// run keeps a scanner running until ctx ends, and waits until it is gone.
func (v supervisor) run(ctx context.Context) {
	first := cmp.Or(v.first, time.Second)
	for pause := first; ctx.Err() == nil; pause = min(2*pause, cmp.Or(v.most, time.Minute)) {
		began := time.Now()
		err := v.once(ctx)
		if ctx.Err() != nil {
			return
		}
		lived := time.Since(began)
		if lived >= cmp.Or(v.healthy, 5*time.Minute) {
			pause = first
		}
		v.log.Error("the scanner has ended; it is started again", "error", err, "lived", lived.Round(time.Millisecond), "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// once runs a scanner until it ends, or ctx does.
func (v supervisor) once(ctx context.Context) error {
	lines, theirs := io.Pipe()
	var reading sync.WaitGroup
	reading.Go(func() { v.relay(lines) })
	defer reading.Wait()
	defer theirs.Close()
	p, closeGroup, err := v.start(theirs)
	if err != nil {
		return err
	}
	defer closeGroup()
	v.log.Info("the scanner has started", "path", v.path, "pid", p.Pid())
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Terminate()
		select {
		case <-p.Done():
		case <-time.After(cmp.Or(v.patience, 12*time.Second)):
			v.log.Warn("the scanner does not end by itself and is killed", "pid", p.Pid())
			p.Kill()
		}
	}
	if err := p.Err(); err != nil {
		return err
	}
	return errors.New("it ended without an error")
}

// start starts a scanner in a control group if that can be, and else without.
func (v supervisor) start(output io.Writer) (p *process.Process, closeGroup func(), err error) {
	memory, err := registry.ParseSize(v.flags.ScannerMemory)
	if err != nil {
		return nil, nil, err
	}
	// Each engine has its own limit; this is for all of them, and for who starts them.
	g, err := process.NewGroup("berth-scanner", int64(v.flags.ScannerWorkers)*(memory+memory/4)+512<<20)
	if err == nil {
		if p, err = process.Start(v.command(output), g); err == nil {
			return p, func() { v.remove(g) }, nil
		}
		v.remove(g)
	}
	v.log.Debug("the scanner gets no control group; it limits its memory itself", "reason", err)
	p, err = process.Start(v.command(output), nil)
	return p, func() {}, err
}

// remove removes a control group, which takes a moment after the end of its processes.
func (v supervisor) remove(g *process.Group) {
	var err error
	for range 20 {
		if err = g.Close(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	v.log.Debug("a control group cannot be removed", "error", err)
}

// command is what runs the scanner. Its environment has none of the secrets of the registry
// but the one for it.
func (v supervisor) command(output io.Writer) *exec.Cmd {
	cmd := exec.Command(v.path)
	cmd.Env = append(process.Environment(),
		"GOMEMLIMIT=256MiB", // of who starts the engines, which have their own
		"BERTH_SCANNER_REGISTRY="+v.url,
		"BERTH_SCANNER_TOKEN="+v.secret,
		"BERTH_SCANNER_DATA="+v.data,
		"BERTH_SCANNER_WORKERS="+strconv.Itoa(v.flags.ScannerWorkers),
		"BERTH_SCANNER_MEMORY="+v.flags.ScannerMemory,
		"BERTH_SCANNER_DISK="+v.flags.ScannerDisk,
		"BERTH_SCANNER_TIME="+v.flags.ScannerTime.String(),
		"BERTH_SCANNER_LOG_FORMAT=json",
		"BERTH_SCANNER_LOG_LEVEL="+strings.ToLower(v.level()),
	)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second // what it has started may hold its output open
	return cmd
}

// level is that of the registry's log when the scanner starts.
func (v supervisor) level() string {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if v.log.Enabled(context.Background(), l) {
			return l.String()
		}
	}
	return slog.LevelError.String()
}

// relay passes what a scanner prints on to the log.
func (v supervisor) relay(from io.Reader) {
	log := v.log.With("from", "scanner")
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, isPart, err := lines.ReadLine()
		if len(line) > 0 {
			relayLine(log, line)
		}
		for isPart && err == nil { // longer lines lose their end
			_, isPart, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// relayLine logs a line of slog's JSON as it was meant, and any other one as it is.
func relayLine(log *slog.Logger, line []byte) {
	var fields map[string]any
	var level slog.Level
	if json.Unmarshal(line, &fields) != nil {
		log.Warn("the scanner says something", "line", string(line))
		return
	}
	message, _ := fields["msg"].(string)
	name, _ := fields["level"].(string)
	if level.UnmarshalText([]byte(name)) != nil {
		level = slog.LevelInfo
	}
	var attrs []any
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key != "msg" && key != "level" && key != "time" {
			attrs = append(attrs, key, fields[key])
		}
	}
	log.Log(context.Background(), level, message, attrs...)
}
