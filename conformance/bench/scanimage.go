package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// typeZipped is the media type of layers that a scanner can read.
const typeZipped = "application/vnd.oci.image.layer.v1.tar+gzip"

// baseSystem is the Debian that all images of the scans are made on.
type baseSystem struct {
	archive []byte   // the tar of its files
	zipped  []byte   // the same, compressed as builders do it
	sources []string // the source packages in it
}

// readBase reads the tar of a Debian.
func readBase(path string) (*baseSystem, error) {
	archive, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; conformance/clients/install.sh makes a Debian, and -debian names one", err)
	}
	b := &baseSystem{archive: archive}
	if b.zipped, err = compress(archive); err != nil {
		return nil, err
	}
	return b, b.readPackages()
}

// readPackages finds the source packages of the system.
func (b *baseSystem) readPackages() error {
	for t := tar.NewReader(bytes.NewReader(b.archive)); ; {
		h, err := t.Next()
		if err != nil {
			return fmt.Errorf("the Debian has no list of packages: %w", err)
		}
		if strings.TrimPrefix(h.Name, "./") != "var/lib/dpkg/status" {
			continue
		}
		var status bytes.Buffer
		if _, err := status.ReadFrom(t); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, stanza := range strings.Split(status.String(), "\n\n") {
			name := ""
			for _, line := range strings.Split(stanza, "\n") {
				if p, ok := strings.CutPrefix(line, "Package: "); ok {
					name = p
				}
				if s, ok := strings.CutPrefix(line, "Source: "); ok {
					name, _, _ = strings.Cut(s, " ")
				}
			}
			if name != "" && !seen[name] {
				seen[name] = true
				b.sources = append(b.sources, name)
			}
		}
		return nil
	}
}

// layer is a compressed layer and what it unpacks to.
type layer struct {
	blob   blob
	diffID string
}

// unseen is the base system as a layer that no scanner has seen: another file comes first, as
// a gzip member of its own.
func (b *baseSystem) unseen(serial int) (layer, error) {
	head, err := archive(map[string]string{"etc/serial": fmt.Sprint(serial)})
	if err != nil {
		return layer{}, err
	}
	head = head[:len(head)-2*512] // what would end the archive
	zipped, err := compress(head)
	if err != nil {
		return layer{}, err
	}
	return layer{joined(zipped, b.zipped), joined(head, b.archive).digest}, nil
}

// joined is a blob of two pieces.
func joined(first, second []byte) blob {
	h := sha256.New()
	h.Write(first)
	h.Write(second)
	return blob{digest: fmt.Sprintf("sha256:%x", h.Sum(nil)), size: int64(len(first) + len(second)), shared: first, tail: second}
}

// addition is a small layer like those that builds put on a base system: a few packages of
// the distribution, and those that an application of Node.js has installed.
func addition(serial int) (layer, error) {
	files := map[string]string{"app/serial": fmt.Sprint(serial)}
	for n := range 3 {
		name := fmt.Sprintf("lib%d-%d", serial, n)
		files["var/lib/dpkg/status.d/"+name] = fmt.Sprintf(
			"Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: nobody <nobody@example.com>\nVersion: 1.%d-1\nDescription: of a benchmark\n", name, n)
	}
	for n := range 5 {
		name := fmt.Sprintf("module-%d-%d", serial%50, n)
		files["app/node_modules/"+name+"/package.json"] = fmt.Sprintf(`{"name":%q,"version":"1.%d.0","license":"MIT"}`, name, n)
	}
	content, err := archive(files)
	if err != nil {
		return layer{}, err
	}
	zipped, err := compress(content)
	return layer{bytesBlob(zipped), digestOf(content)}, err
}

// archive is a tar of files.
func archive(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(content)); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// stacked is an image of layers, of which the last has to be pushed and the others are there.
func stacked(tag string, layers ...layer) (image, error) {
	im := image{tag: tag, layers: []blob{layers[len(layers)-1].blob}}
	var m manifest
	var config struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		RootFS       struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	config.Architecture, config.OS, config.RootFS.Type = "amd64", "linux", "layers"
	for _, l := range layers {
		m.Layers = append(m.Layers, l.blob.describe(typeZipped))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
	}
	b, err := json.Marshal(config)
	if err != nil {
		return image{}, err
	}
	im.config = bytesBlob(b)
	m.Config = im.config.describe(typeConfig)
	im.manifest = m.encode()
	return im, nil
}
