package ecr

import (
	"cmp"
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
)

// active is the status of an image that goes on being scanned.
const active scan.Status = "ACTIVE"

// scanStatus is how the scan of an image stands.
type scanStatus struct {
	Status      scan.Status `json:"status"`
	Description string      `json:"description,omitempty"`
}

// findingsSummary is what a scan has found, in numbers.
type findingsSummary struct {
	CompletedAt seconds               `json:"imageScanCompletedAt,omitzero"`
	SourceAt    seconds               `json:"vulnerabilitySourceUpdatedAt,omitzero"`
	Counts      map[scan.Severity]int `json:"findingSeverityCounts"`
}

// scanView is how the scans of a repository are shown.
type scanView struct {
	mode       scan.Mode
	continuous bool
}

func (c *call) scanView(ctx context.Context, repo registry.Name) (scanView, error) {
	configuration, err := c.scanningConfiguration(ctx)
	frequency, _ := configuration.For(repo, false)
	return scanView{configuration.Mode, frequency == scan.Continuous}, err
}

func (v scanView) status(s scan.Scan) scanStatus {
	switch s.Status {
	case scan.Complete, scan.InProgress, scan.Pending:
		if v.continuous && v.summary(s) != nil {
			return scanStatus{active, "Continuous scan is selected for image."}
		}
	case scan.Unsupported:
		return scanStatus{s.Status, "UnsupportedImageError: " + cmp.Or(s.Reason, "The operating system and/or package manager are not supported.")}
	case scan.Archived:
		return scanStatus{s.Status, cmp.Or(s.Reason, "The image is archived.")}
	}
	if s.Status == scan.Complete {
		return scanStatus{s.Status, cmp.Or(s.Reason, "The scan was completed successfully.")}
	}
	return scanStatus{s.Status, s.Reason}
}

// summary is nil as long as there are no findings to be told. Those of an earlier scan are
// told until there are newer ones, but for an archived image none.
func (v scanView) summary(s scan.Scan) *findingsSummary {
	if s.Status == scan.Archived || s.Status != scan.Complete && s.CompletedAt.IsZero() {
		return nil
	}
	counts := map[scan.Severity]int{}
	for severity, n := range s.Counts {
		counts[v.severity(severity)] += n
	}
	return &findingsSummary{seconds(s.CompletedAt), seconds(s.Database.UpdatedAt), counts}
}

// severity is that of a finding in the words of the mode.
func (v scanView) severity(s scan.Severity) scan.Severity {
	if v.mode == scan.Enhanced && s == scan.Undefined {
		return "UNTRIAGED"
	}
	return s
}

// scansOf are the scans of those images of a repository that were scanned.
func (c *call) scansOf(ctx context.Context, repo registry.Name, images []digest.Digest) (map[digest.Digest]scan.Scan, scanView, error) {
	if c.opts.Scans == nil || len(images) == 0 {
		return nil, scanView{}, nil
	}
	scans, err := c.opts.Scans.Scans(ctx, repo, images)
	if err != nil || len(scans) == 0 {
		return nil, scanView{}, err
	}
	view, err := c.scanView(ctx, repo)
	return scans, view, err
}

type startScanOutput struct {
	RegistryID string        `json:"registryId"`
	Repository registry.Name `json:"repositoryName"`
	ID         imageID       `json:"imageId"`
	Status     scanStatus    `json:"imageScanStatus"`
}

func (c *call) startImageScan(ctx context.Context, in *imageInput) (startScanOutput, error) {
	out := startScanOutput{RegistryID: c.account(), Repository: in.RepositoryName}
	image, err := c.image(ctx, in.RepositoryName, *in.ID)
	if err != nil {
		return out, err
	}
	if c.opts.Scans == nil {
		return out, refusal("Validation", "This feature is disabled: the registry has no scanner")
	}
	view, err := c.scanView(ctx, in.RepositoryName)
	if err != nil {
		return out, err
	}
	if view.mode == scan.Enhanced {
		return out, refusal("Validation", "This feature is disabled: with enhanced scanning, images are scanned as the rules of the registry say")
	}
	started, err := c.opts.Scans.Start(ctx, in.RepositoryName, image.Digest, scan.StartOptions{})
	out.ID, out.Status = in.named(image), view.status(started)
	return out, c.scanException(err, in, image)
}

// scanException is err in the words of ECR, if it is about the scan of an image.
func (c *call) scanException(err error, in *imageInput, image registry.Image) error {
	switch {
	case errors.Is(err, scan.ErrNotScanned):
		return refusal("ScanNotFound", "Image scan does not exist for the image with '%s' in the repository with name '%s' in the registry with id '%s'",
			in.named(image), in.RepositoryName, c.account())
	case errors.Is(err, scan.ErrUnsupportedImage):
		return refusal("UnsupportedImageType", "The image with imageId %s in the repository with name '%s' in the registry with id '%s' cannot be scanned: %s",
			in.named(image), in.RepositoryName, c.account(), message(err))
	case errors.Is(err, scan.ErrArchived):
		return refusal("ImageArchived", "The image with imageId %s in the repository with name '%s' in the registry with id '%s' is archived; restore it first",
			in.named(image), in.RepositoryName, c.account())
	case errors.Is(err, registry.ErrLimitExceeded):
		return refusal("LimitExceeded", "The scan quota per image has been exceeded. Wait and try again.")
	case errors.Is(err, registry.ErrManifestUnknown):
		return c.imageNotFound(*in.ID, in.RepositoryName)
	}
	return err
}
