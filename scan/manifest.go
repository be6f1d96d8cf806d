package scan

import (
	"strings"

	"berth/registry"
)

// ManifestKind tells what can be scanned from what cannot.
type ManifestKind int

// The kinds of manifests. An artifact is anything that is not an image to run: a chart, a
// signature, an attestation, a bill of materials.
const (
	ArtifactManifest ManifestKind = iota
	ImageManifest
	IndexManifest
)

// The media types of the configs of images.
const (
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	dockerConfig = "application/vnd.docker.container.image.v1+json"
)

// KindOf finds out what a manifest is of. An image has a config of an image and at least one
// layer that is a file system. Whatever type of artifact it says that it is, it can be run.
func KindOf(c registry.Content) ManifestKind {
	switch {
	case c.IsIndex():
		return IndexManifest
	case c.Config == nil || c.Config.MediaType != ociConfig && c.Config.MediaType != dockerConfig:
		return ArtifactManifest
	}
	for _, layer := range c.Layers {
		if isFileSystem(layer.MediaType) {
			return ImageManifest
		}
	}
	return ArtifactManifest
}

// IsAttestation reports whether an index lists something about its images, as BuildKit does,
// and no image.
func IsAttestation(child registry.Descriptor) bool {
	return child.Platform != nil && child.Platform.OS == "unknown" && child.Platform.Architecture == "unknown"
}

// isFileSystem reports whether a layer of this type is unpacked to the file system of a
// container, however it is compressed and wherever it has to be fetched.
func isFileSystem(mediaType string) bool {
	for _, prefix := range []string{
		"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar",
	} {
		if rest, ok := strings.CutPrefix(mediaType, prefix); ok && (rest == "" || rest[0] == '+' || rest[0] == '.') {
			return true
		}
	}
	return false
}
