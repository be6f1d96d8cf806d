//go:build goexperiment.jsonv2

package trivy

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	trivydb "github.com/aquasecurity/trivy-db/pkg/db"
	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy/pkg/fanal/applier"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/scan/langpkg"
	"github.com/aquasecurity/trivy/pkg/scan/local"
	"github.com/aquasecurity/trivy/pkg/scan/ospkg"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/aquasecurity/trivy/pkg/vulnerability"
	_ "modernc.org/sqlite" // reads databases of RPM, and the Java index

	"berth/scan"
)

// version is that of the Trivy linked in. A build knows it too, but not the build of a test.
const version = "0.72.0"

// Limits on images, unless [Options] has others.
const (
	DefaultMaxBytes   = 20 << 30
	DefaultMaxEntries = 5_000_000
)

// Options are what a [Scanner] works with.
type Options struct {
	// Temp is an existing folder for temporary files, of the scanner alone. What an image
	// has left there is removed before Inventory returns.
	Temp string

	MaxBytes   int64 // that the layers of an image may unpack to; zero means [DefaultMaxBytes]
	MaxEntries int64 // files, folders and links in the layers of an image; zero means [DefaultMaxEntries]

	// Log hears of what the scanner helps itself with, and Trivy's errors; at level debug also
	// Trivy's warnings. Nil means that nobody does.
	Log *slog.Logger
}

// Scanner is Trivy. There can be one in a process: the handle of the vulnerability database,
// that of the Java index, the folder for temporary files and the logger are Trivy's global
// variables. [New] has TMPDIR name a folder in [Options.Temp] for the whole process, which
// Inventory empties, and makes the log of [Options] slog's default.
//
// Trivy analyses in goroutines of its own. Should one of them panic the process ends, and
// nothing here can prevent it; run a Scanner in a process that may die.
type Scanner struct {
	options Options
	work    string // folder in which Trivy makes temporary files

	matching sync.RWMutex // held for reading while the vulnerability database is in use
	present  database

	inventory sync.Mutex // held while an image is looked at, and while the Java index changes
	java      javaIndex

	vulnerabilities local.Service // matches what it is given; never has layers applied
}

// New makes a scanner that has no databases yet.
func New(options Options) (*Scanner, error) {
	if options.MaxBytes == 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	if options.MaxEntries == 0 {
		options.MaxEntries = DefaultMaxEntries
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	temp, err := filepath.Abs(options.Temp)
	if err != nil {
		return nil, err
	}
	options.Temp = temp

	s := &Scanner{options: options}
	if s.work, err = os.MkdirTemp(temp, "work-"); err != nil { // a name of its own, since all in it is removed
		return nil, fmt.Errorf("the folder for temporary files: %w", err)
	}
	if err := os.Setenv("TMPDIR", s.work); err != nil {
		return nil, err
	}
	slog.SetDefault(slog.New(quiet{options.Log.Handler()}))
	s.vulnerabilities = service(nil)
	if err := s.withoutJava(); err != nil {
		return nil, fmt.Errorf("making an empty Java index: %w", err)
	}
	return s, nil
}

// Name implements [scan.Scanner].
func (s *Scanner) Name() string { return "trivy " + version }

// service is Trivy's second half: it puts layers together and looks packages up.
func service(layers applier.Applier) local.Service {
	return local.NewService(layers, ospkg.NewScanner(), langpkg.NewScanner(), vulnerability.NewClient(trivydb.Config{}))
}

// scanOptions are those of `trivy image --scanners vuln`.
func scanOptions(scanners ...types.Scanner) types.ScanOptions {
	return types.ScanOptions{
		PkgTypes:            types.PkgTypes,
		PkgRelationships:    ftypes.Relationships,
		Scanners:            scanners,
		VulnSeveritySources: []dbtypes.SourceID{"auto"},
	}
}

// quiet is a handler for what Trivy says: its errors as they are, its warnings, of which there
// are many about packages and databases that nobody can change, at level debug, and no more.
type quiet struct{ slog.Handler }

func level(trivys slog.Level) slog.Level {
	if trivys < slog.LevelError {
		return slog.LevelDebug
	}
	return trivys
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, level(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = level(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

var _ scan.Scanner = (*Scanner)(nil)
