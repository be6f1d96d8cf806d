package database

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"

	"berth/scan"
)

// Open finds the databases in a file or folder, of which there is one at least:
//
//   - an OCI layout, or a tar of one
//   - the layer alone, as db.tar.gz or javadb.tar.gz
//   - a folder with trivy.db or trivy-java.db and its metadata.json, or Trivy's cache,
//     which has such folders
func Open(ctx context.Context, name string) ([]Artifact, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var all []Artifact
	if info.IsDir() {
		all, err = openFolder(ctx, name)
	} else {
		all, err = openFile(ctx, name)
	}
	if err == nil && len(all) == 0 {
		err = errors.New("there is no database in it; it should be an OCI layout or a tar of one, db.tar.gz, " +
			"or a folder with trivy.db and metadata.json")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

func openFolder(ctx context.Context, name string) ([]Artifact, error) {
	if exists(filepath.Join(name, ocispec.ImageLayoutFile)) {
		layout, err := oci.NewFromFS(ctx, os.DirFS(name))
		if err != nil {
			return nil, err
		}
		index, err := os.Open(filepath.Join(name, ocispec.ImageIndexFile))
		if err != nil {
			return nil, err
		}
		defer index.Close()
		return readIndex(ctx, name, index, layout)
	}
	var all []Artifact
	for _, f := range forms {
		for _, dir := range []string{name, filepath.Join(name, f.cache)} {
			if exists(filepath.Join(dir, f.file)) {
				all = append(all, packed(f.kind, dir, func(context.Context) (io.ReadCloser, error) { return pack(dir, f) }))
			}
		}
	}
	return all, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// openFile tells a layer, which is compressed, from the tar of a layout.
func openFile(ctx context.Context, name string) ([]Artifact, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if unzipped, err := gzip.NewReader(file); err == nil {
		kind, err := kindOf(unzipped)
		if err != nil {
			return nil, err
		}
		return []Artifact{packed(kind, filepath.Base(name), func(context.Context) (io.ReadCloser, error) { return os.Open(name) })}, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	archive := tar.NewReader(file)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is neither a tar nor compressed with gzip: %w", err)
		}
		if path.Clean(h.Name) == ocispec.ImageIndexFile {
			layout, err := oci.NewFromTar(ctx, name)
			if err != nil {
				return nil, err
			}
			return readIndex(ctx, filepath.Base(name), archive, layout)
		}
	}
}

// kindOf looks for the database among the first files of a layer.
func kindOf(r io.Reader) (scan.DatabaseKind, error) {
	archive := tar.NewReader(r)
	for range 2 {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", brokenTar(err)
		}
		for _, f := range forms {
			if h.Name == f.file {
				return f.kind, nil
			}
		}
		if h.Name != metadataFile {
			return "", fmt.Errorf("it begins with %q, and should be a layer with trivy.db or trivy-java.db; "+
				"if it is an OCI layout, uncompress it (gunzip)", h.Name)
		}
	}
	return "", errors.New("there is neither trivy.db nor trivy-java.db in it")
}

// maxIndex is how large the index of a layout may be.
const maxIndex = 4 << 20

// readIndex reads the artifacts that the index of a layout lists.
func readIndex(ctx context.Context, source string, r io.Reader, layout fetcher) ([]Artifact, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxIndex))
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("its index: %w", err)
	}
	var all []Artifact
	seen := map[string]bool{}
	for _, d := range index.Manifests {
		if seen[string(d.Digest)] {
			continue // under another tag
		}
		seen[string(d.Digest)] = true
		a, err := read(ctx, source, layout, d)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// pack makes a layer of the files in a folder: the same bytes each time.
func pack(dir string, f form) (io.ReadCloser, error) {
	if !exists(filepath.Join(dir, metadataFile)) {
		return nil, fmt.Errorf("there is no %s beside %s, which tells how old it is", metadataFile, f.file)
	}
	reader, writer := io.Pipe()
	p := &packing{PipeReader: reader, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		writer.CloseWithError(writeLayer(writer, dir, f))
	}()
	return p, nil
}

// packing is a layer that is made as it is read.
type packing struct {
	*io.PipeReader
	done chan struct{}
}

// Close implements [io.Closer]. It waits until the files are closed.
func (p *packing) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}

func writeLayer(w io.Writer, dir string, f form) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, name := range []string{f.file, metadataFile} {
		if err := writeFile(archive, filepath.Join(dir, name), name); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

func writeFile(archive *tar.Writer, from, name string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
