//go:build goexperiment.jsonv2

package trivy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	v1types "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/scan"
)

// maxConfig limits the configuration of an image, in bytes.
const maxConfig = 8 << 20

// image is a [scan.Image] as Trivy reads one. It lives for one inventory, whose context it has.
type image struct {
	scan.Image
	ctx       context.Context
	config    *v1.ConfigFile
	rawConfig []byte
	configID  digest.Digest
	layers    []*layer // in the order of the manifest

	limits  Options
	bytes   atomic.Int64 // unpacked so far
	entries atomic.Int64 // seen so far

	mu      sync.Mutex
	failure error
}

// newImage reads manifest and configuration; layers are opened when they are asked for.
func newImage(ctx context.Context, source scan.Image, limits Options) (*image, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(source.Manifest, &m); err != nil {
		return nil, fmt.Errorf("the manifest is not JSON: %w", err)
	}
	i := &image{Image: source, ctx: ctx, limits: limits, configID: m.Config.Digest}
	if err := i.readConfig(); err != nil {
		return nil, fmt.Errorf("the configuration of the image cannot be read: %w", err)
	}
	diffIDs := i.config.RootFS.DiffIDs
	if len(diffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("the image has %d layers, and its configuration speaks of %d", len(m.Layers), len(diffIDs))
	}
	for n, d := range m.Layers {
		if err := d.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("layer %d: %w", n+1, err)
		}
		i.layers = append(i.layers, &layer{image: i, descriptor: d, diffID: diffIDs[n]})
	}
	return i, nil
}

func (i *image) readConfig() error {
	if err := i.configID.Validate(); err != nil {
		return err
	}
	r, err := i.Open(i.ctx, i.configID)
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return err
	}
	if len(content) > maxConfig {
		return fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	if i.configID.Algorithm().FromBytes(content) != i.configID {
		return errors.New("it is not what its digest says")
	}
	i.rawConfig = content
	i.config, err = v1.ParseConfigFile(bytes.NewReader(content))
	return err
}

// fail notes why the image cannot be read and returns it. The first reason counts, since
// those after it are its consequences, in Trivy's words.
func (i *image) fail(err error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failure == nil {
		i.failure = err
	}
	return err
}

func (i *image) failed() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.failure
}

// layer returns the first layer with a diff ID.
func (i *image) layer(id v1.Hash) (*layer, error) {
	for _, l := range i.layers {
		if l.diffID == id {
			return l, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", id)
}

// Name is what Trivy calls the image. The inventory of a digest is the same in all
// repositories, so it does not speak of one.
func (i *image) Name() string { return i.Image.Digest.String() }

// ID implements the image of Trivy, as the methods below do.
func (i *image) ID() (string, error)                 { return i.configID.String(), nil }
func (i *image) RepoTags() []string                  { return nil }
func (i *image) RepoDigests() []string               { return nil }
func (i *image) ConfigName() (v1.Hash, error)        { return hash(i.configID), nil }
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return i.config, nil }
func (i *image) RawConfigFile() ([]byte, error)      { return i.rawConfig, nil }
func (i *image) RawManifest() ([]byte, error)        { return i.Image.Manifest, nil }
func (i *image) Manifest() (*v1.Manifest, error) {
	return v1.ParseManifest(bytes.NewReader(i.Image.Manifest))
}

func (i *image) MediaType() (v1types.MediaType, error) {
	return v1types.MediaType(i.Image.MediaType), nil
}

func (i *image) Size() (int64, error)                       { return int64(len(i.Image.Manifest)), nil }
func (i *image) Digest() (v1.Hash, error)                   { return hash(i.Image.Digest), nil }
func (i *image) LayerByDiffID(id v1.Hash) (v1.Layer, error) { return i.layer(id) }

func (i *image) LayerByDigest(d v1.Hash) (v1.Layer, error) {
	for _, l := range i.layers {
		if hash(l.descriptor.Digest) == d {
			return l, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", d)
}

func (i *image) Layers() ([]v1.Layer, error) {
	layers := make([]v1.Layer, len(i.layers))
	for n, l := range i.layers {
		layers[n] = l
	}
	return layers, nil
}

// hash is a digest in the words of go-containerregistry, whose own parser knows only sha256.
func hash(d digest.Digest) v1.Hash {
	return v1.Hash{Algorithm: d.Algorithm().String(), Hex: d.Encoded()}
}
