//go:build goexperiment.jsonv2

package trivy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	trivydb "github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	"github.com/aquasecurity/trivy/pkg/db"
	bolt "go.etcd.io/bbolt"

	"berth/scan"
)

// database is the vulnerability database that is open.
type database struct {
	dir       string // empty if there is none
	updatedAt time.Time
}

// Use implements [scan.Scanner]. The folder has the files of Trivy's artifact, metadata.json
// with trivy.db or trivy-java.db, and has to stay for as long as the database is in use. One
// that is older than the present one is refused. Use waits for calls of Match or Inventory
// that work with the present one.
func (s *Scanner) Use(kind scan.DatabaseKind, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	switch kind {
	case scan.Vulnerabilities:
		err = s.useVulnerabilities(dir)
	case scan.Java:
		err = s.useJava(dir)
	default:
		return fmt.Errorf("%q is no kind of database", kind)
	}
	if err != nil {
		return fmt.Errorf("the database in %s cannot be used: %w", dir, err)
	}
	return nil
}

func (s *Scanner) useVulnerabilities(dir string) error {
	client := metadata.NewClient(dir)
	meta, err := client.Get()
	if err != nil {
		return fmt.Errorf("metadata.json cannot be read: %w", err)
	}
	if meta.Version != trivydb.SchemaVersion {
		return schemaError(meta.Version, trivydb.SchemaVersion)
	}
	if err := checkVulnerabilities(trivydb.Path(dir)); err != nil {
		return fmt.Errorf("trivy.db: %w", err)
	}

	s.matching.Lock()
	defer s.matching.Unlock()
	if meta.UpdatedAt.Before(s.present.updatedAt) {
		return olderError(meta.UpdatedAt, s.present.updatedAt)
	}
	before := trivydb.Config{}.Connection()
	if err := db.Init(dir); err != nil {
		err = fmt.Errorf("trivy.db: %w", err)
		if s.present.dir != "" { // Init has lost the handle, and opening what was open is all there is
			err = errors.Join(err, db.Init(s.present.dir))
		}
		return err
	}
	s.present = database{dir, meta.UpdatedAt}
	if before != nil {
		return before.Close()
	}
	return nil
}

// checkVulnerabilities reads a part of every bucket of the database: the pages that lead
// there, its first and its last entry. What is missing at the end of the file is noticed
// wherever it is. To read all of it takes as long as to match a thousand images.
func checkVulnerabilities(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	defer onFault(&err)()
	d, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("the file was cut off: it has %d of %d bytes", info.Size(), tx.Size())
		}
		for _, name := range []string{"vulnerability", "data-source"} {
			b := tx.Bucket([]byte(name))
			if b == nil {
				return fmt.Errorf("it has no bucket %q", name)
			}
			if k, _ := b.Cursor().First(); k == nil {
				return fmt.Errorf("its bucket %q is empty", name)
			}
		}
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
			readEnds(b)
			return nil
		})
	})
}

// readEnds reads the first and the last entry of a bucket and of those in it.
func readEnds(b *bolt.Bucket) {
	c := b.Cursor()
	for _, end := range []func() ([]byte, []byte){c.First, c.Last} {
		if k, v := end(); k != nil && v == nil {
			readEnds(b.Bucket(k))
		}
	}
}

// onFault makes an error of a panic, also of one for a page of a mapped file that cannot be
// read, in the goroutine and until the function is left whose defer statement calls what it returns.
func onFault(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = fmt.Errorf("it is damaged: %v", r)
		}
	}
}

func schemaError(have, want int) error {
	return fmt.Errorf("its schema has version %d, and this scanner knows %d: upgrade berth, or import a database of that version", have, want)
}

func olderError(have, present time.Time) error {
	return fmt.Errorf("it is of %s and older than the present one, which is of %s",
		have.UTC().Format(time.RFC3339), present.UTC().Format(time.RFC3339))
}
