package database

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

// Registry is what databases are kept in.
type Registry interface {
	registry.Reader
	registry.Writer
	registry.Deleter
	CreateRepository(ctx context.Context, name registry.Name, s registry.Settings) (registry.Repository, error)
	Images(ctx context.Context, repo registry.Name, q registry.ImagesQuery) (page []registry.Image, more bool, err error)
}

// Store knows which databases workers go by.
type Store interface {
	// VulnerabilityDatabases lists them, by kind.
	VulnerabilityDatabases(ctx context.Context) ([]scan.Database, error)

	// UseVulnerabilityDatabase has workers go by d, which has to lie in its repository. Unless
	// older is set, it must not have been made before the present one, if that still lies in
	// its own. It is durable.
	// Errors: ErrNameUnknown, ErrManifestUnknown, scan.ErrDatabaseOlder.
	UseVulnerabilityDatabase(ctx context.Context, d scan.Database, older bool) error
}

// The repositories that databases are kept in, if none are named.
const (
	DefaultRepository     registry.Name = "berth/trivy-db"
	DefaultJavaRepository registry.Name = "berth/trivy-java-db"
)

// Importer brings databases into the registry.
type Importer struct {
	Registry     Registry
	Store        Store
	Repositories map[scan.DatabaseKind]registry.Name // where they go; empty for the defaults
	Logger       *slog.Logger                        // may be nil
}

func (i *Importer) log() *slog.Logger {
	if i.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return i.Logger
}

// Result is what became of an import.
type Result struct {
	scan.Database
	Changed bool `json:"changed"` // false if workers went by that database before
}

// Repository is where the databases of a kind are kept.
func (i *Importer) Repository(kind scan.DatabaseKind) registry.Name {
	if kind == scan.Java {
		return cmp.Or(i.Repositories[kind], DefaultJavaRepository)
	}
	return cmp.Or(i.Repositories[kind], DefaultRepository)
}

// Import checks a database and has workers go by it: all of it or, on an error, nothing.
// Until then they go by the one before. One that was made before that one is refused unless
// force is set, which also brings the same one in again.
//
// Errors: scan.ErrDatabaseOlder, those of what a is from, of [Check], and of the registry.
func (i *Importer) Import(ctx context.Context, a Artifact, force bool) (Result, error) {
	present, err := i.Present(ctx, a.Kind)
	if err != nil && !errors.Is(err, registry.ErrNotSet) {
		return Result{}, err
	}
	if !force && err == nil && a.Manifest.Digest != "" && present.Digest == a.Manifest.Digest {
		return Result{Database: present}, nil
	}
	repo := i.Repository(a.Kind)
	if _, err := i.Registry.CreateRepository(ctx, repo, registry.Settings{}); err != nil && !errors.Is(err, registry.ErrNameTaken) {
		return Result{}, err
	}
	m, err := i.layer(ctx, repo, &a, func(m Metadata) error {
		if !force && m.UpdatedAt.Before(present.UpdatedAt) {
			return scan.OlderDatabase(m.UpdatedAt, present.UpdatedAt)
		}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	if a.Manifest.Digest == "" {
		if err := a.manifest(a.Layer, m); err != nil {
			return Result{}, err
		}
		if !force && a.Manifest.Digest == present.Digest {
			return Result{Database: present}, nil
		}
	}
	d := scan.Database{
		Kind: a.Kind, Repository: repo, Digest: a.Manifest.Digest, Layer: a.Layer.Digest,
		UpdatedAt: m.UpdatedAt, NextUpdate: m.NextUpdate, Source: a.Source, Version: m.Version,
	}
	if err := i.put(ctx, a, d); err != nil {
		return Result{}, err
	}
	if err := i.Store.UseVulnerabilityDatabase(ctx, d, force); err != nil {
		return Result{}, err
	}
	if d, err = i.current(ctx, a.Kind); err != nil { // it knows when it was imported
		return Result{}, err
	}
	if err := i.prune(ctx, repo, d.Digest); err != nil {
		i.log().WarnContext(ctx, "old vulnerability databases stay until the next one comes", "repository", repo, "error", err)
	}
	return Result{Database: d, Changed: true}, nil
}

// Present is the database of a kind that workers go by, if it still lies in its repository.
// Errors: ErrNotSet.
func (i *Importer) Present(ctx context.Context, kind scan.DatabaseKind) (scan.Database, error) {
	d, err := i.current(ctx, kind)
	if err != nil {
		return d, err
	}
	_, err = i.Registry.StatManifest(ctx, d.Repository, registry.Reference{Digest: d.Digest})
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrNameUnknown) {
		return scan.Database{}, registry.ErrNotSet.With("the %s %s is not in repository %s any more; import it again", Name(kind), d.Digest, d.Repository)
	}
	return d, err
}

func (i *Importer) current(ctx context.Context, kind scan.DatabaseKind) (scan.Database, error) {
	all, err := i.Store.VulnerabilityDatabases(ctx)
	if err != nil {
		return scan.Database{}, err
	}
	for _, d := range all {
		if d.Kind == kind {
			return d, nil
		}
	}
	return scan.Database{}, registry.ErrNotSet.With("there is no %s", Name(kind))
}

// put stores config and manifest of an artifact whose layer is there.
func (i *Importer) put(ctx context.Context, a Artifact, d scan.Database) error {
	if a.config != nil {
		chunk := registry.Chunk{Size: int64(len(a.config)), Body: bytes.NewReader(a.config)}
		if _, err := i.Registry.PutBlob(ctx, d.Repository, chunk, digest.FromBytes(a.config)); err != nil {
			return err
		}
	}
	_, err := i.Registry.PutManifest(ctx, d.Repository, a.Manifest, []registry.Tag{registry.Tag(strconv.Itoa(d.Version))})
	if errors.Is(err, registry.ErrTagFixed) {
		err = fmt.Errorf("%w; make the tags of repository %s mutable", err, d.Repository)
	}
	return err
}

// keptOld is how many databases stay that have lost their tag to a newer one.
const keptOld = 3

// prune deletes old databases, which are large. It leaves everything else in the repository
// alone.
func (i *Importer) prune(ctx context.Context, repo registry.Name, present digest.Digest) error {
	var old []registry.Image
	q := registry.ImagesQuery{Status: registry.Untagged, Limit: 100}
	for more := true; more; {
		var page []registry.Image
		var err error
		if page, more, err = i.Registry.Images(ctx, repo, q); err != nil {
			return err
		}
		for _, image := range page {
			q.Last.Digest = image.Digest
			if image.ArtifactType == configType && image.Subject == "" && image.Digest != present {
				old = append(old, image)
			}
		}
		more = more && len(page) > 0
	}
	slices.SortFunc(old, func(a, b registry.Image) int { return b.PushedAt.Compare(a.PushedAt) })
	for _, image := range old[min(keptOld, len(old)):] {
		err := i.Registry.DeleteManifest(ctx, repo, image.Digest)
		if err != nil && !errors.Is(err, registry.ErrManifestUnknown) && !errors.Is(err, registry.ErrManifestReferenced) {
			return err
		}
	}
	return nil
}
