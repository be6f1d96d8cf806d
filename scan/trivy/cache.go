//go:build goexperiment.jsonv2

package trivy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/opencontainers/go-digest"

	"berth/scan"
)

// layerCache is the cache that Trivy keeps what it finds in, in memory for the one image
// that it is for, and layers also in a [scan.LayerCache].
//
// A key of that one is made of Trivy's own (the diff ID, and versions of all that analyses)
// and the digest of the layer. Nobody can get at the result for a layer by naming its diff
// ID in an image of other layers: what is kept under a pair was read from that very blob.
type layerCache struct {
	store  scan.LayerCache
	image  *image
	noJava bool // there is no Java index, so results are worth less and have other keys
	log    *slog.Logger

	mu        sync.Mutex
	keys      map[string]layerKey // by Trivy's own key
	layers    map[string]ftypes.BlobInfo
	artifacts map[string]ftypes.ArtifactInfo
}

type layerKey struct {
	layer *layer
	key   string // in the store
}

func newLayerCache(store scan.LayerCache, i *image, noJava bool, log *slog.Logger) *layerCache {
	return &layerCache{
		store: store, image: i, noJava: noJava, log: log,
		keys:      map[string]layerKey{},
		layers:    map[string]ftypes.BlobInfo{},
		artifacts: map[string]ftypes.ArtifactInfo{},
	}
}

// key is that of a layer in the store.
func (c *layerCache) key(id string, l *layer) string {
	key := digest.FromString(id + " " + l.descriptor.Digest.String()).String()
	if c.noJava {
		key += "-nojava"
	}
	return key
}

// MissingBlobs is told the keys of all layers, in order, and says which have to be analysed.
// It loads the others at once: what the store drops after that is missed by nobody.
func (c *layerCache) MissingBlobs(ctx context.Context, _ string, ids []string) (bool, []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(ids) != len(c.image.layers) {
		return false, nil, fmt.Errorf("trivy asks for %d layers of %d", len(ids), len(c.image.layers))
	}
	var keys, order []string
	for n, id := range ids {
		if _, ok := c.keys[id]; ok {
			continue // the same layer again
		}
		l, err := c.image.layer(c.image.layers[n].diffID)
		if err != nil {
			return false, nil, err
		}
		k := layerKey{l, c.key(id, l)}
		c.keys[id] = k
		keys, order = append(keys, k.key), append(order, id)
	}
	if len(keys) == 0 {
		return true, nil, nil
	}
	missing, err := c.store.Missing(ctx, keys)
	if err != nil {
		return false, nil, fmt.Errorf("asking for what is known of the layers: %w", err)
	}
	isMissing := map[string]bool{}
	for _, key := range missing {
		isMissing[key] = true
	}
	var absent []string
	for _, id := range order {
		if isMissing[c.keys[id].key] || !c.load(ctx, id) {
			absent = append(absent, id)
		}
	}
	return true, absent, nil
}

// load takes a layer from the store, and reports whether it was there and could be read.
func (c *layerCache) load(ctx context.Context, id string) bool {
	k := c.keys[id]
	content, err := c.store.Layer(ctx, k.key)
	if err != nil {
		c.log.Warn("what is known of a layer cannot be had; it is read again", "layer", k.layer.descriptor.Digest, "error", err)
		return false
	}
	var info ftypes.BlobInfo
	if err := json.Unmarshal(content, &info); err != nil || info.SchemaVersion != ftypes.BlobJSONSchemaVersion || info.DiffID != k.layer.diffID.String() {
		c.log.Warn("what is known of a layer cannot be read; the layer is read again", "layer", k.layer.descriptor.Digest)
		return false
	}
	c.layers[id] = info
	return true
}

// PutBlob keeps what was found in a layer, if that was read to the end and is what it should be.
func (c *layerCache) PutBlob(ctx context.Context, id string, info ftypes.BlobInfo) error {
	c.mu.Lock()
	k, ok := c.keys[id]
	c.mu.Unlock()
	switch {
	case !ok:
		return fmt.Errorf("trivy knows a layer %s that the image does not have", id)
	case c.image.failed() != nil:
		return c.image.failed()
	case !k.layer.verified.Load():
		return k.layer.fail(errors.New("it was not read to its end"))
	}
	info.CreatedBy = "" // is of this image, and what is kept is not
	content, err := json.Marshal(info)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.layers[id] = info
	c.mu.Unlock()
	if len(content) > scan.MaxLayer {
		c.log.Warn("too much was found in a layer to be kept; the next image that has it reads it again", "layer", k.layer.descriptor.Digest, "bytes", len(content))
		return nil
	}
	if err := c.store.PutLayer(ctx, k.key, content); err != nil {
		c.log.Warn("what was found in a layer cannot be kept; the next image that has it reads it again", "layer", k.layer.descriptor.Digest, "error", err)
	}
	return nil
}

// GetBlob implements Trivy's cache, as the methods below do.
func (c *layerCache) GetBlob(_ context.Context, id string) (ftypes.BlobInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.layers[id], nil
}

func (c *layerCache) PutArtifact(_ context.Context, id string, info ftypes.ArtifactInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.artifacts[id] = info
	return nil
}

func (c *layerCache) GetArtifact(_ context.Context, id string) (ftypes.ArtifactInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.artifacts[id], nil
}

func (c *layerCache) DeleteBlobs(context.Context, []string) error { return nil }
func (c *layerCache) Clear(context.Context) error                 { return nil }
func (c *layerCache) Close() error                                { return nil }
