package database

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"berth/registry"
	"berth/scan"
)

// Limits on what a layer may unpack to, in bytes.
const (
	MaxUnpacked = 4 << 30
	maxMetadata = 64 << 10
)

// headSize is how much of a file tells whether it is a database: two of the largest pages
// that one begins with.
const headSize = 2 * maxPage

// maxFuture is how far a database may be ahead of our clock. One that is from next year
// would have all others refused as older until then.
const maxFuture = 24 * time.Hour

// maxNext is how long after a database the next one may be expected. Until then nobody asks for
// it, nor warns that there is none.
const maxNext = 30 * 24 * time.Hour

// Metadata is what a database says of itself.
type Metadata struct {
	Version      int
	NextUpdate   time.Time
	UpdatedAt    time.Time
	DownloadedAt time.Time
}

// Check reads a layer to its end and says what its database says of itself. It keeps
// nothing on disk, and little in memory. Any error means that the layer is not to be used.
func Check(r io.Reader, kind scan.DatabaseKind) (Metadata, error) {
	return check(r, formOf(kind), MaxUnpacked, time.Now())
}

func check(r io.Reader, f form, limit int64, now time.Time) (m Metadata, err error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return m, brokenGzip(err)
	}
	limited := &limitedReader{r: unzipped, left: limit, limit: limit}
	archive := tar.NewReader(limited)
	var seen []string
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return m, brokenTar(err)
		}
		if err := f.expects(h, seen); err != nil {
			return m, err
		}
		seen = append(seen, h.Name)
		if h.Name == metadataFile {
			m, err = f.readMetadata(archive, h.Size, now)
		} else {
			err = f.readDatabase(archive, h.Size)
		}
		if err != nil {
			return m, err
		}
	}
	for _, name := range []string{f.file, metadataFile} {
		if !slices.Contains(seen, name) {
			return m, fmt.Errorf("there is no %s in the archive", name)
		}
	}
	// What follows the archive is padding; the checksum comes after that.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return m, brokenTar(err)
	}
	return m, nil
}

// expects reports whether an entry of the archive is one of the two files.
func (f form) expects(h *tar.Header, seen []string) error {
	switch {
	case h.Name != f.file && h.Name != metadataFile:
		return fmt.Errorf("the archive has %q, and should have %s and %s only, without folders (tar czf %s %s %s)",
			registry.Clip(h.Name), f.file, metadataFile, f.archive, f.file, metadataFile)
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("%s is not a plain file in the archive", h.Name)
	case slices.Contains(seen, h.Name):
		return fmt.Errorf("the archive has %s twice", h.Name)
	}
	return nil
}

func (f form) readMetadata(r io.Reader, size int64, now time.Time) (m Metadata, err error) {
	if size > maxMetadata {
		return m, fmt.Errorf("%s has %d bytes; at most %d are allowed", metadataFile, size, maxMetadata)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return m, brokenTar(err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is not what it should be: %w", metadataFile, err)
	}
	switch {
	case m.Version != f.version:
		return m, fmt.Errorf("its schema has version %d, and this berth knows %d; take the tag %d of the database, or another berth", m.Version, f.version, f.version)
	case m.UpdatedAt.IsZero():
		return m, fmt.Errorf("%s does not say when the database was made (UpdatedAt)", metadataFile)
	case m.UpdatedAt.After(now.Add(maxFuture)):
		return m, fmt.Errorf("it was made at %s, which is yet to come; see whether the clock of this machine is right", m.UpdatedAt.Format(time.RFC3339))
	}
	m.UpdatedAt, m.NextUpdate = m.UpdatedAt.UTC(), m.NextUpdate.UTC()
	if latest := m.UpdatedAt.Add(maxNext); m.NextUpdate.After(latest) {
		m.NextUpdate = latest
	}
	return m, nil
}

func (f form) readDatabase(r io.Reader, size int64) error {
	head := make([]byte, min(size, headSize))
	if _, err := io.ReadFull(r, head); err != nil {
		return brokenTar(err)
	}
	if err := f.begins(head, size); err != nil {
		return fmt.Errorf("%s is damaged or something else: %w", f.file, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return brokenTar(err)
	}
	return nil
}

// brokenTar is an error of reading an archive, which may be one of what it is packed in.
func brokenTar(err error) error {
	var large *tooLargeError
	switch {
	case errors.As(err, &large):
		return large
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader),
		strings.HasPrefix(err.Error(), "flate:"):
		return brokenGzip(err)
	}
	return fmt.Errorf("it cannot be unpacked: %w", err)
}

func brokenGzip(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return errors.New("it ends too early; it was cut off on its way")
	case errors.Is(err, gzip.ErrChecksum):
		return errors.New("its checksum is wrong; it was damaged on its way")
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("it is not compressed with gzip, or something follows that is not")
	}
	return fmt.Errorf("it cannot be uncompressed: %w", err)
}

// limitedReader fails once there is more than it may read.
type limitedReader struct {
	r           io.Reader
	left, limit int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, &tooLargeError{l.limit}
	}
	return n, err
}

type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return "it unpacks to more than " + registry.FormatSize(e.limit)
}
