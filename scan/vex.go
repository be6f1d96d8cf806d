package scan

import (
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// VEXJob is the kind of jobs that read VEX documents. Its key is repository@digest.
const VEXJob = "scan-vex"

// VEXPayload is what a VEXJob is about.
type VEXPayload struct {
	Repository registry.Name `json:"repository"`
	Digest     digest.Digest `json:"digest"` // of the manifest that has the documents
}

// MaxVEX is the largest VEX document that is read, in bytes.
const MaxVEX = 8 << 20

// VEXStatus is what a VEX statement says about a vulnerability, in the words of OpenVEX.
type VEXStatus string

// The statuses. The first two take findings out.
const (
	VEXNotAffected        VEXStatus = "not_affected"
	VEXFixed              VEXStatus = "fixed"
	VEXAffected           VEXStatus = "affected"
	VEXUnderInvestigation VEXStatus = "under_investigation"
)

// takesOut reports whether a vulnerability with the status is none.
func (s VEXStatus) takesOut() bool { return s == VEXNotAffected || s == VEXFixed }

// VEXDocument is a VEX document that refers to an image.
type VEXDocument struct {
	Digest  digest.Digest `json:"digest"`        // of the manifest that has it
	Blob    digest.Digest `json:"blob"`          // the document itself
	Subject digest.Digest `json:"subject"`       // the image that it refers to, or an index
	Tag     registry.Tag  `json:"tag,omitempty"` // by which it refers to that, where the manifest does not say so itself

	Format   string    `json:"format,omitempty"` // "OpenVEX" or "CycloneDX"; empty if it is not known
	ID       string    `json:"id,omitempty"`     // as the document has it
	Author   string    `json:"author,omitempty"`
	IssuedAt time.Time `json:"issuedAt,omitzero"`
	ReadAt   time.Time `json:"readAt"`

	Error      string         `json:"error,omitempty"` // why it counts for nothing
	Statements []VEXStatement `json:"statements"`
}

// VEXStatement is one thing that a document says.
type VEXStatement struct {
	Vulnerabilities []string  `json:"vulnerabilities"` // one, by all the names that the document has for it
	Status          VEXStatus `json:"status"`
	Reason          string    `json:"reason,omitempty"` // for people
	At              time.Time `json:"at,omitzero"`      // since when it is said

	// Products are what it is said about. It is about the image as a whole if Image is set.
	Products []VEXProduct `json:"products,omitempty"`
	Image    bool         `json:"image,omitempty"`
}

// VEXProduct is an image or a package, and perhaps packages in it.
type VEXProduct struct {
	Names         []string `json:"names"`                   // of one thing: package URLs, digests
	Subcomponents []string `json:"subcomponents,omitempty"` // package URLs; all packages if there are none
}

// cosignTag is how older versions of cosign name what refers to an image, where they do not
// say so in its manifest: sha256-<hex>.att.
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
const cosignTag = ".att"

// VEXSubject says which image a manifest refers to that may have VEX documents, and if it
// does so by a tag of its own, by which; it is empty for any other manifest. Whether there
// are such documents is only known when the blobs have been read.
func VEXSubject(c registry.Content, tags []registry.Tag) (subject digest.Digest, by registry.Tag) {
	if len(VEXLayers(c)) == 0 {
		return "", ""
	}
	if c.Subject != nil {
		return c.Subject.Digest, ""
	}
	for _, t := range tags {
		name, attached := strings.CutSuffix(string(t), cosignTag)
		if !attached {
			continue
		}
		if d, err := registry.ParseDigest(strings.Replace(name, "-", ":", 1)); err == nil {
			return d, t
		}
	}
	return "", ""
}

// VEXLayers are those blobs of a manifest that may be VEX documents: by their own type, or
// because the manifest as a whole is for such.
func VEXLayers(c registry.Content) []registry.Descriptor {
	if isVEXType(c.ArtifactType) {
		return c.Layers
	}
	var layers []registry.Descriptor
	for _, l := range c.Layers {
		if isVEXType(l.MediaType) {
			layers = append(layers, l)
		}
	}
	return layers
}

// isVEXType reports whether blobs of a media type may be VEX documents.
func isVEXType(mediaType string) bool {
	mediaType = strings.ToLower(mediaType)
	for _, prefix := range []string{
		"application/openvex",
		"application/vnd.openvex",
		"application/vnd.cyclonedx",
		"application/vnd.dsse.envelope",        // attestations, of cosign among others
		"application/vnd.in-toto",              // likewise, with or without an envelope
		"application/vnd.dev.sigstore.bundle.", // likewise, of cosign 3 and of GitHub
	} {
		if strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}
