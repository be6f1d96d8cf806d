package worker

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"berth/scan"
)

// maxDatabase is how much a database may unpack to, in bytes.
const maxDatabase = 4 << 30

// databaseFiles are the files that a database consists of.
var databaseFiles = map[scan.DatabaseKind][]string{
	scan.Vulnerabilities: {"trivy.db", "metadata.json"},
	scan.Java:            {"trivy-java.db", "metadata.json"},
}

// unpack unpacks the layer of a database into a folder, which may have a part of it when
// there is an error. It reads to the very end, where errors of digests are told, and makes
// no other files than those that are expected.
func unpack(kind scan.DatabaseKind, layer io.Reader, dir string, limit int64) error {
	zipped, err := gzip.NewReader(layer)
	if err != nil {
		return fmt.Errorf("the database is not compressed by gzip: %w", err)
	}
	missing := map[string]bool{}
	for _, name := range databaseFiles[kind] {
		missing[name] = true
	}
	for archive := tar.NewReader(zipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the database cannot be unpacked: %w", err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		name := path.Clean(header.Name)
		if header.Typeflag != tar.TypeReg || !missing[name] {
			return fmt.Errorf("the database has a file that does not belong there: %q", header.Name)
		}
		delete(missing, name)
		if limit -= header.Size; limit < 0 {
			return fmt.Errorf("the database unpacks to more than %s", size(maxDatabase))
		}
		if err := writeFile(filepath.Join(dir, name), archive); err != nil {
			return fmt.Errorf("the database cannot be unpacked: %w", err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the database lacks %s", strings.Join(slices.Sorted(maps.Keys(missing)), " and "))
	}
	// After the end of the archive come zeros, the checksum of gzip, and nothing.
	if n, err := io.Copy(io.Discard, io.LimitReader(zipped, 1<<20)); err != nil || n == 1<<20 {
		return errors.Join(errors.New("the database does not end where it should"), err)
	}
	if n, err := io.Copy(io.Discard, layer); err != nil || n > 0 {
		return errors.Join(errors.New("the database does not end where it should"), err)
	}
	return nil
}

// writeFile writes a new file, durably.
func writeFile(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Sync(), file.Close())
}
