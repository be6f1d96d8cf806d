package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
)

type scanAttach struct {
	dataFlags `embed:""`
	Image     string `arg:"" placeholder:"REPO:TAG|REPO@DIGEST" help:"The image; of an index name one of its images."`
}

func (cmd scanAttach) Run(ctx context.Context, c console) error {
	audit, err := cmd.audit(c)
	if err != nil {
		return err
	}
	ctx = registry.WithCause(ctx, registry.Cause{By: audit.who})
	return cmd.withScans(ctx, func(e *engine.Engine, scans *scan.Service) error {
		i, err := findImage(ctx, e, cmd.Image)
		if err != nil {
			return err
		}
		inventory, err := scans.Inventory(ctx, i.repo, i.Digest)
		if err != nil {
			return noInventory(ctx, scans, i, err)
		}
		d, err := attachInventory(ctx, e, i, inventory)
		if err != nil {
			return err
		}
		audit.image(ctx, "PutImage", i.repo, []registry.ImageID{{Digest: d}})
		_, err = fmt.Fprintf(c.out, "%s@%s has the inventory of %s and refers to it\n", i.repo, d, i.name)
		return err
	})
}

// noInventory says why there is none. An image for which a scan was asked is not told to ask again.
func noInventory(ctx context.Context, scans scan.Scans, i imageArg, err error) error {
	if errors.Is(err, scan.ErrNotScanned) {
		if s, lookErr := scans.Scan(ctx, i.repo, i.Digest); lookErr == nil {
			return fmt.Errorf("there is no inventory: %s is %s", i.name, tellScan(s))
		}
	}
	return scanError(i.name, err)
}

// attachInventory puts an inventory into the repository of its image, as an artifact that refers to
// it. The same inventory is the same artifact, whenever it is attached.
func attachInventory(ctx context.Context, e *engine.Engine, i imageArg, inventory json.RawMessage) (digest.Digest, error) {
	subject, err := e.StatManifest(ctx, i.repo, registry.Reference{Digest: i.Digest})
	if err != nil {
		return "", err
	}
	put := func(mediaType string, b []byte) (registry.Descriptor, error) {
		d := registry.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		_, err := e.PutBlob(ctx, i.repo, registry.Chunk{Size: d.Size, Body: bytes.NewReader(b)}, d.Digest)
		return d, err
	}
	config, err := put(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	if err != nil {
		return "", err
	}
	layer, err := put(scan.InventoryMediaType, inventory)
	if err != nil {
		return "", err
	}
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: "inventory.cdx.json"} // or oras does not pull it
	b, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: scan.InventoryMediaType,
		Config: config, Layers: []registry.Descriptor{layer},
		Subject: &registry.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	})
	if err != nil {
		return "", err
	}
	m := registry.Manifest{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(b), Bytes: b}
	_, err = e.PutManifest(ctx, i.repo, m, nil)
	return m.Digest, err
}
