package database

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"berth/registry"
	"berth/scan"
)

// Artifact is a database that can be imported.
type Artifact struct {
	Kind   scan.DatabaseKind
	Source string // where it is from, for people

	// From is the repository of this registry that it lies in; else it is empty.
	From registry.Name

	// Manifest and Layer are without digest if the database is not an artifact of OCI yet.
	Manifest registry.Manifest
	Layer    registry.Descriptor

	config []byte
	open   func(context.Context) (io.ReadCloser, error) // the layer
}

// fetcher reads the contents of artifacts from a registry or a layout.
type fetcher interface {
	Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error)
}

// maxConfig is how large a config may be. Those who make databases leave it empty.
const maxConfig = 1 << 20

// read reads the artifact whose manifest is d. It does not open the layer.
func read(ctx context.Context, source string, f fetcher, d ocispec.Descriptor) (Artifact, error) {
	a := Artifact{Source: source}
	b, err := fetchSmall(ctx, f, d, registry.MaxManifestSize)
	if err != nil {
		return a, fmt.Errorf("its manifest: %w", err)
	}
	a.Manifest = registry.Manifest{MediaType: d.MediaType, Digest: d.Digest, Bytes: b}
	content, err := registry.ParseManifest(d.MediaType, b)
	if err != nil {
		return a, err
	}
	if content.IsIndex() || len(content.Layers) != 1 {
		return a, notDatabase("it is " + described(content))
	}
	a.Layer = content.Layers[0]
	for _, form := range forms {
		if form.mediaType == a.Layer.MediaType {
			a.Kind = form.kind
		}
	}
	switch {
	case a.Kind == "":
		return a, notDatabase(fmt.Sprintf("its layer is of the type %q", registry.Clip(a.Layer.MediaType)))
	case a.Layer.Size > MaxUnpacked:
		return a, fmt.Errorf("its layer has %s; at most %s are allowed", registry.FormatSize(a.Layer.Size), registry.FormatSize(MaxUnpacked))
	}
	if content.Config != nil {
		if a.config, err = fetchSmall(ctx, f, *content.Config, maxConfig); err != nil {
			return a, fmt.Errorf("its config: %w", err)
		}
	}
	a.open = func(ctx context.Context) (io.ReadCloser, error) { return f.Fetch(ctx, a.Layer) }
	return a, nil
}

func described(c registry.Content) string {
	if c.IsIndex() {
		return fmt.Sprintf("an index of %d manifests", len(c.Manifests))
	}
	return fmt.Sprintf("a manifest with %d layers, and should have one", len(c.Layers))
}

func notDatabase(why string) error {
	return fmt.Errorf("this is no vulnerability database and no Java index: %s; the layer of those has the type %s or %s", why, layerType, javaType)
}

// fetchSmall reads something whole, and checks its digest.
func fetchSmall(ctx context.Context, f fetcher, d ocispec.Descriptor, limit int64) ([]byte, error) {
	if d.Size > limit {
		return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", d.Size, limit)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("its digest %q is none: %w", registry.Clip(string(d.Digest)), err)
	}
	content, err := f.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	b, err := io.ReadAll(io.LimitReader(content, d.Size+1))
	if err != nil {
		return nil, err
	}
	if got := d.Digest.Algorithm().FromBytes(b); got != d.Digest {
		return nil, fmt.Errorf("what arrived has the digest %s, not %s", got, d.Digest)
	}
	return b, nil
}

// packed is an artifact that is only a layer so far.
func packed(kind scan.DatabaseKind, source string, open func(context.Context) (io.ReadCloser, error)) Artifact {
	return Artifact{Kind: kind, Source: source, Layer: registry.Descriptor{MediaType: formOf(kind).mediaType}, open: open}
}

// manifest makes a manifest for a layer that came without one: the same bytes each time.
func (a *Artifact) manifest(layer registry.Descriptor, m Metadata) error {
	f := formOf(a.Kind)
	a.config = []byte("{}")
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: f.archive}
	b, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: registry.MediaTypeImageManifest,
		Config: ocispec.Descriptor{
			MediaType: configType, Digest: digest.FromBytes(a.config), Size: int64(len(a.config)),
		},
		Layers:      []ocispec.Descriptor{layer},
		Annotations: map[string]string{ocispec.AnnotationCreated: m.UpdatedAt.Format(time.RFC3339)},
	})
	a.Layer = layer
	a.Manifest = registry.Manifest{MediaType: registry.MediaTypeImageManifest, Digest: digest.FromBytes(b), Bytes: b}
	return err
}

// In is the artifact that ref names in a repository of this registry.
func In(ctx context.Context, reg registry.Reader, repo registry.Name, ref registry.Reference) (Artifact, error) {
	m, err := reg.Manifest(ctx, repo, ref)
	if err != nil {
		return Artifact{}, err
	}
	source := string(repo) + ":" + ref.String()
	if ref.Digest != "" {
		source = string(repo) + "@" + ref.String()
	}
	a, err := read(ctx, source, own{reg, repo, m},
		ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Bytes))})
	a.From = repo
	return a, err
}

// own has the contents of an artifact of this registry.
type own struct {
	registry registry.Reader
	repo     registry.Name
	manifest registry.Manifest
}

// Fetch implements fetcher.
func (o own) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Digest == o.manifest.Digest {
		return io.NopCloser(bytes.NewReader(o.manifest.Bytes)), nil
	}
	b, err := o.registry.OpenBlob(ctx, o.repo, d.Digest, registry.Span{})
	if err != nil {
		return nil, err
	}
	return b.Content, nil
}
