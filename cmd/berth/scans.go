package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"berth/registry"
	"berth/registry/engine"
	"berth/scan"
	"berth/storage/meta"
)

// scanCommand is about the vulnerabilities of images.
type scanCommand struct {
	Run    scanRun           `cmd:"" help:"Have images scanned, which a scanner does."`
	Show   scanShow          `cmd:"" help:"Show the vulnerabilities of an image."`
	List   scanList          `cmd:"" help:"List images that were scanned, and how many vulnerabilities they have."`
	Export scanExport        `cmd:"" help:"Write the vulnerabilities of images for other programs, or what is in an image."`
	Attach scanAttach        `cmd:"" help:"Put what is in an image beside it, a CycloneDX document that refers to it, for others to pull."`
	Status scanStatus        `cmd:"" help:"Say which databases there are, who scans, and how far all scans have come."`
	Config scanConfigCommand `cmd:"" help:"Which images are scanned without anyone asking."`
	DB     scanDBCommand     `cmd:"" name:"db" help:"The databases that images are scanned with."`

	scanRulesCommands `embed:""`
}

// newScans makes the service of scans for a command.
func newScans(db *meta.DB) *scan.Service {
	return scan.NewService(db, scan.Options{Except: scan.NewGatekeeper(db, nil).Except})
}

// withScans calls do with the registry itself and the scans of its images.
func (f dataFlags) withScans(ctx context.Context, do func(*engine.Engine, *scan.Service) error) error {
	db, err := f.openDatabase(ctx)
	if err != nil {
		return err
	}
	blobs, closeBlobs, err := f.openBlobs(ctx, storeOptions{})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(do(engine.New(db, blobs, engine.Options{}), newScans(db)), closeBlobs(ctx), db.Close())
}

// imageArg is an image that a command is about.
type imageArg struct {
	registry.Image
	repo registry.Name
	name string // as it was asked for, such as team/app:v1
	sole bool   // it was asked for by itself
}

// findImages finds REPO:TAG or REPO@DIGEST, or of REPO all images that have a tag and are not
// archived.
func findImages(ctx context.Context, e *engine.Engine, arg string) ([]imageArg, error) {
	repo, ref, err := parseImage(arg)
	if err != nil {
		return nil, err
	}
	if ref != (registry.Reference{}) {
		image, err := e.Image(ctx, repo, registry.ImageID{Digest: ref.Digest, Tag: ref.Tag})
		return []imageArg{{image, repo, arg, true}}, withoutHost(repo, err)
	}
	var found []imageArg
	q := registry.ImagesQuery{Status: registry.Tagged, Class: registry.Standard, Limit: 1000}
	for more := true; more; {
		var page []registry.Image
		if page, more, err = e.Images(ctx, repo, q); err != nil {
			return nil, withoutHost(repo, err)
		}
		for _, i := range page {
			q.Last.Digest = i.Digest
			found = append(found, imageArg{i, repo, string(repo) + ":" + string(i.Tags[0]), false})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("repository %s has no image with a tag; name one as %[1]s@DIGEST, berth image list %[1]s lists them", repo)
	}
	return found, nil
}

// findImage finds the one image REPO:TAG or REPO@DIGEST.
func findImage(ctx context.Context, e *engine.Engine, arg string) (imageArg, error) {
	images, err := findImages(ctx, e, arg)
	switch {
	case err != nil:
		return imageArg{}, err
	case !images[0].sole:
		return imageArg{}, errors.New("say which image, as REPO:TAG or REPO@DIGEST; berth scan list REPO lists them")
	}
	return images[0], nil
}

// tellCounts is how many findings there are, the worst first.
func tellCounts(counts scan.Counts) string {
	var parts []string
	for _, s := range scan.Severities() {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// tellScan is how a scan stands, in a line.
func tellScan(s scan.Scan) string {
	why := s.Reason
	if why == "" && s.Status == scan.Unsupported {
		why = "there is nothing in it that could be scanned"
	}
	if why == "" {
		return string(s.Status)
	}
	return string(s.Status) + ": " + printable(why)
}

// scanError says what to do about errors of scans.
func scanError(name string, err error) error {
	switch {
	case errors.Is(err, scan.ErrNotScanned):
		return fmt.Errorf("%s was never scanned; berth scan run %[1]s has that done", name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
