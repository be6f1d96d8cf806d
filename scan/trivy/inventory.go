//go:build goexperiment.jsonv2

package trivy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy/pkg/fanal/analyzer"
	"github.com/aquasecurity/trivy/pkg/fanal/applier"
	"github.com/aquasecurity/trivy/pkg/fanal/artifact"
	fimage "github.com/aquasecurity/trivy/pkg/fanal/artifact/image"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	xos "github.com/aquasecurity/trivy/pkg/x/os"

	"berth/scan"
)

// parallel is how many layers are read and how many files are analysed at once, as many as
// Trivy does itself.
const parallel = 5

// Inventory implements [scan.Scanner]. What is wrong with the image comes as an error that
// says what; what Trivy does not mind it leaves out.
func (s *Scanner) Inventory(ctx context.Context, source scan.Image, store scan.LayerCache) (_ scan.Inventory, err error) {
	s.inventory.Lock()
	defer s.inventory.Unlock()
	defer func() { err = errors.Join(err, s.clean()) }()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the image cannot be analysed: %v\n%s", r, debug.Stack())
		}
	}()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	i, err := newImage(ctx, source, s.options)
	if err != nil {
		return scan.Inventory{}, err
	}
	found, err := s.analyse(ctx, i, newLayerCache(store, i, s.java.empty, s.options.Log))
	if reason := i.failed(); reason != nil {
		err = reason
	}
	if err != nil {
		return scan.Inventory{}, err
	}
	if found.packages() == 0 && !known(found.os) {
		return scan.Inventory{}, scan.ErrNothingFound
	}
	document, err := encode(ctx, found)
	if err != nil {
		return scan.Inventory{}, fmt.Errorf("writing the inventory: %w", err)
	}
	return scan.Inventory{CycloneDX: document, OS: osName(found.os), Packages: found.packages()}, nil
}

// found is what is in an image.
type found struct {
	artifact   artifact.Reference
	os         ftypes.OS
	repository *ftypes.Repository // from which the system takes packages; decides what is looked up for Alpine
	layers     ftypes.Layers
	results    types.Results
}

func (f found) packages() (n int) {
	for _, r := range f.results {
		n += len(r.Packages)
	}
	return n
}

// known reports whether there is an operating system. Trivy speaks of one called none where
// there are only its packages.
func known(os ftypes.OS) bool { return os.Detected() && os.Family != "none" }

func osName(os ftypes.OS) string {
	if !known(os) {
		return ""
	}
	return strings.TrimSpace(string(os.Family) + " " + os.Name)
}

// analyse reads those layers that the cache does not have and puts all of them together.
func (s *Scanner) analyse(ctx context.Context, i *image, cache *layerCache) (found, error) {
	a, err := fimage.NewArtifact(i, cache, artifactOptions())
	if err != nil {
		return found{}, err
	}
	ref, err := a.Inspect(ctx)
	if err != nil {
		return found{}, err
	}
	layers := &recorder{Applier: applier.NewApplier(cache)}
	response, err := service(layers).Scan(ctx, ref.Name, ref.ID, ref.BlobIDs, scanOptions(types.SBOMScanner))
	if err != nil {
		return found{}, err
	}
	return found{ref, response.OS, layers.repository, response.Layers, response.Results}, nil
}

// recorder remembers what Trivy finds and does not tell.
type recorder struct {
	applier.Applier
	repository *ftypes.Repository
}

func (r *recorder) ApplyLayers(ctx context.Context, artifact string, blobs []string) (ftypes.ArtifactDetail, error) {
	detail, err := r.Applier.ApplyLayers(ctx, artifact, blobs)
	r.repository = detail.Repository
	return detail, err
}

// artifactOptions are those of `trivy image --scanners vuln --format cyclonedx --offline-scan`.
func artifactOptions() artifact.Option {
	return artifact.Option{
		DisabledAnalyzers: slices.Concat(analyzer.TypeLockfiles, analyzer.TypeConfigFiles, []analyzer.Type{
			analyzer.TypeApkCommand,
			analyzer.TypeSecret,
			analyzer.TypeLicenseFile,
			analyzer.TypeHistoryDockerfile,
			analyzer.TypeImageConfigSecret, // looks for secrets even when told not to
			analyzer.TypeExecutable,
			analyzer.TypeRpmArchive,
		}),
		Parallel:          parallel,
		NoProgress:        true,
		Offline:           true,
		FileChecksum:      true,
		DetectionPriority: ftypes.PriorityPrecise,
	}
}

// clean removes what an image has left. The folder that Trivy makes once for all its files stays.
func (s *Scanner) clean() error {
	stays := xos.TempDir()
	var errs []error
	for _, dir := range []string{s.work, stays} {
		entries, err := os.ReadDir(dir)
		errs = append(errs, err)
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); path != stays {
				errs = append(errs, os.RemoveAll(path))
			}
		}
	}
	return errors.Join(errs...)
}
