package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/scan"
	"berth/scan/remote"
)

// databaseKinds are those that engines use.
var databaseKinds = []scan.DatabaseKind{scan.Vulnerabilities, scan.Java}

// kept is a database in the worker's folder.
type kept struct {
	scan.Database
	dir string
}

// aboutFile says in the folder of a database what it is.
const aboutFile = "database.json"

// newFolder is what names of folders begin with while they are being filled.
const newFolder = ".new-"

// keeper keeps databases current: fetched by the worker, opened by its engines. There is
// one database of a kind at least as soon as there ever was one that could be opened.
type keeper struct {
	client *remote.Client
	puller *remote.Puller
	dir    string
	log    *slog.Logger
	kinds  map[scan.DatabaseKind]*shelf
}

// shelf is what is kept of a kind.
type shelf struct {
	turn chan struct{} // held by who looks for a newer one
	hint chan struct{} // has something if there may be a newer one

	mu       sync.Mutex
	present  *kept // the one to use; nil if there is none
	good     *kept // one that an engine could open, perhaps the same
	refused  digest.Digest
	until    time.Time // until when the refused one is not fetched again
	trouble  string    // for the operator
	inFolder bool      // whether present comes from an earlier life
}

// How long a database that could not be had is left alone, by whether it is broken or the
// registry was away.
const (
	brokenFor = 10 * time.Minute
	awayFor   = 20 * time.Second
)

func newKeeper(opts Options, puller *remote.Puller) *keeper {
	k := &keeper{
		client: opts.Client, puller: puller, log: opts.Logger,
		dir: filepath.Join(opts.Data, databaseFolder), kinds: map[scan.DatabaseKind]*shelf{},
	}
	for _, kind := range databaseKinds {
		k.kinds[kind] = &shelf{turn: make(chan struct{}, 1), hint: make(chan struct{}, 1)}
	}
	return k
}

// load finds the databases of earlier lives: the newest of each kind is used until the
// registry names another, and the others are removed.
func (k *keeper) load() error {
	for kind, s := range k.kinds {
		dir := filepath.Join(k.dir, string(kind))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			found := kept{dir: filepath.Join(dir, e.Name())}
			b, err := os.ReadFile(filepath.Join(found.dir, aboutFile))
			if err != nil || json.Unmarshal(b, &found.Database) != nil || found.Kind != kind {
				continue // it was not unpacked to the end
			}
			if s.present == nil || found.ImportedAt.After(s.present.ImportedAt) {
				s.present, s.inFolder = &found, true
			}
		}
		s.sweep(k.log, dir, true)
	}
	return nil
}

// look has newer databases be looked for soon.
func (k *keeper) look() {
	for _, s := range k.kinds {
		select {
		case s.hint <- struct{}{}:
		default: // it will be
		}
	}
}

// looking reports whether newer databases are being looked for, and perhaps fetched.
func (k *keeper) looking() bool {
	return slices.ContainsFunc(databaseKinds, func(kind scan.DatabaseKind) bool { return len(k.kinds[kind].turn) > 0 })
}

// run looks for newer databases of a kind until ctx ends.
func (k *keeper) run(ctx context.Context, kind scan.DatabaseKind) {
	for {
		if err := k.refresh(ctx, kind); err != nil && ctx.Err() == nil {
			k.log.Warn("the present database could not be fetched; it is tried again", "kind", kind, "error", plain(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-k.kinds[kind].hint:
		case <-time.After(lookEvery):
		}
	}
}

// refresh asks the registry for its database of a kind, and fetches it if it is another.
func (k *keeper) refresh(ctx context.Context, kind scan.DatabaseKind) error {
	s := k.kinds[kind]
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all, err := k.client.Databases(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all.Databases, func(d scan.Database) bool { return d.Kind == kind })
	if i < 0 {
		return nil
	}
	named := all.Databases[i]
	if !s.wants(named) {
		return nil
	}
	k.puller.SetToken(all.Token)
	began := time.Now()
	if err := k.fetch(ctx, named); err != nil {
		if ctx.Err() == nil {
			s.failed(named, err)
		}
		return err
	}
	k.log.Info("database fetched", "kind", kind, "digest", named.Digest, "updated", named.UpdatedAt, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// wants reports whether a database that the registry names is to be fetched.
func (s *shelf) wants(d scan.Database) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.present != nil && s.present.Digest == d.Digest:
		s.trouble = ""
		return false
	case s.refused == d.Digest && time.Now().Before(s.until):
		return false
	case s.present != nil && d.UpdatedAt.Before(s.present.UpdatedAt) && !d.ImportedAt.After(s.present.ImportedAt):
		// An operator who goes back to an older one imports it after the other.
		s.trouble = fmt.Sprintf("the registry names a %s database of %s, which is older than the one in use, of %s", d.Kind, when(d.UpdatedAt), when(s.present.UpdatedAt))
		return false
	}
	return true
}

// failed notes why a database could not be fetched.
func (s *shelf) failed(d scan.Database, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause := brokenFor
	if remote.Away(err) {
		pause = awayFor
	}
	s.refused, s.until = d.Digest, time.Now().Add(pause)
	s.trouble = fmt.Sprintf("the %s database of %s: %s", d.Kind, when(d.UpdatedAt), plain(err))
}

// fetch pulls a database and unpacks it, and has it used. It has its name only when it is
// whole.
func (k *keeper) fetch(ctx context.Context, d scan.Database) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("%q is no digest: %w", d.Digest, err)
	}
	parent := filepath.Join(k.dir, string(d.Kind))
	temp, err := os.MkdirTemp(parent, newFolder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // nothing, once it has its name
	layer, err := k.puller.Blob(ctx, d.Repository, d.Layer)
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := unpack(d.Kind, layer, temp, maxDatabase); err != nil {
		return err
	}
	about, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(temp, aboutFile), bytes.NewReader(about)); err != nil {
		return err
	}
	s := k.kinds[d.Kind]
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(parent, strings.ReplaceAll(d.Digest.String(), ":", "-"))
	if err := errors.Join(os.RemoveAll(dir), os.Rename(temp, dir)); err != nil {
		return err
	}
	s.present, s.inFolder, s.trouble = &kept{Database: d, dir: dir}, false, ""
	return nil
}

// present is the database to use.
func (k *keeper) present(kind scan.DatabaseKind) (kept, bool) {
	s := k.kinds[kind]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.present == nil {
		return kept{}, false
	}
	return *s.present, true
}

// accept is told that an engine could open a database. Those before it are of no more use.
func (k *keeper) accept(d kept) {
	s := k.kinds[d.Kind]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.present != nil && s.present.Digest == d.Digest {
		s.good = &d
		s.sweep(k.log, filepath.Join(k.dir, string(d.Kind)), false)
	}
}

// refuse is told that an engine could not open a database, so that the one before is used
// again. What another engine could open stays.
func (k *keeper) refuse(d kept, reason error) {
	k.log.Warn("a database cannot be opened", "kind", d.Kind, "digest", d.Digest, "error", reason)
	s := k.kinds[d.Kind]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = fmt.Sprintf("the %s database of %s cannot be opened: %s", d.Kind, when(d.UpdatedAt), plain(reason))
	if s.present == nil || s.present.Digest != d.Digest || s.good != nil && s.good.Digest == d.Digest {
		return
	}
	if !s.inFolder { // else the disk may have spoiled what was good
		s.refused, s.until = d.Digest, time.Now().Add(brokenFor)
	}
	s.present, s.inFolder = s.good, false
	s.sweep(k.log, filepath.Join(k.dir, string(d.Kind)), false)
}

// sweep removes the databases of a kind that are of no more use. An engine that has one of
// those open goes on with it. all means that nothing is being fetched.
func (s *shelf) sweep(log *slog.Logger, dir string, all bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		log.Warn("old databases cannot be looked for", "error", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if s.present != nil && s.present.dir == path || s.good != nil && s.good.dir == path ||
			!all && strings.HasPrefix(e.Name(), newFolder) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			log.Warn("an old database cannot be removed", "folder", path, "error", err)
		}
	}
}

// trouble is what the operator should know of the databases; empty if all is well.
func (k *keeper) trouble() string {
	var all []string
	for _, kind := range databaseKinds {
		s := k.kinds[kind]
		s.mu.Lock()
		if s.trouble != "" {
			all = append(all, s.trouble)
		}
		s.mu.Unlock()
	}
	return strings.Join(all, "; ")
}
