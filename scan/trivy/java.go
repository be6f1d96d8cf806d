//go:build goexperiment.jsonv2

package trivy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	javadb "github.com/aquasecurity/trivy-java-db/pkg/db"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	trivyjava "github.com/aquasecurity/trivy/pkg/javadb"
)

// javaIndex is the index of Java archives that is in use.
type javaIndex struct {
	folder    string // of ours, with "java-db" in it, where Trivy looks
	updatedAt time.Time
	empty     bool // since there is none
}

// withoutJava has Trivy use an index with nothing in it: it does not analyse archives at all
// without one, though many say themselves what they are.
func (s *Scanner) withoutJava() error {
	folder, err := os.MkdirTemp(s.options.Temp, "java-")
	if err != nil {
		return err
	}
	dir := filepath.Join(folder, "java-db")
	d, err := javadb.New(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Init(), d.Close()); err != nil {
		return err
	}
	meta := javadb.NewMetadata(dir)
	if err := meta.Update(javadb.Metadata{Version: javadb.SchemaVersion}); err != nil {
		return err
	}
	return s.setJava(javaIndex{folder: folder, empty: true})
}

func (s *Scanner) useJava(dir string) error {
	client := javadb.NewMetadata(dir)
	meta, err := client.Get()
	if err != nil {
		return fmt.Errorf("metadata.json cannot be read: %w", err)
	}
	if meta.Version != javadb.SchemaVersion {
		return schemaError(meta.Version, javadb.SchemaVersion)
	}
	if err := checkJava(dir); err != nil {
		return fmt.Errorf("trivy-java.db: %w", err)
	}

	s.inventory.Lock()
	defer s.inventory.Unlock()
	if meta.UpdatedAt.Before(s.java.updatedAt) {
		return olderError(meta.UpdatedAt, s.java.updatedAt)
	}
	folder, err := os.MkdirTemp(s.options.Temp, "java-")
	if err != nil {
		return err
	}
	if err := os.Symlink(dir, filepath.Join(folder, "java-db")); err != nil {
		return err
	}
	return s.setJava(javaIndex{folder: folder, updatedAt: meta.UpdatedAt})
}

// setJava has Trivy use an index, and never another one from the network.
func (s *Scanner) setJava(index javaIndex) error {
	trivyjava.Init(index.folder, nil, true, true, ftypes.RegistryOptions{})
	before := s.java
	s.java = index
	if before.folder == "" {
		return nil
	}
	return os.RemoveAll(before.folder)
}

// checkJava asks the index something by either of its keys.
func checkJava(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "trivy-java.db")); err != nil {
		return err // New would make an empty one
	}
	d, err := javadb.New(dir)
	if err != nil {
		return err
	}
	_, bySum := d.SelectIndexBySha1(strings.Repeat("0", 40))
	_, byName := d.SelectIndexByArtifactIDAndGroupID("berth", "berth")
	return errors.Join(bySum, byName, d.Close())
}
