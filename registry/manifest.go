package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxManifestSize is the largest manifest, in bytes. The specification asks clients
// and registries to support 4 MB.
const MaxManifestSize = 4 << 20

// maxReferences bounds the descriptors of one manifest. 4 MiB hold some 20,000 of
// them; real images have at most 127 layers.
const maxReferences = 10_000

// maxMediaType bounds media and artifact types: RFC 6838, section 4.2, allows 127
// characters on each side of the slash.
const maxMediaType = 255

// Media types of manifests whose shape berth knows.
const (
	MediaTypeImageManifest  = ocispec.MediaTypeImageManifest
	MediaTypeImageIndex     = ocispec.MediaTypeImageIndex
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// Descriptor says what some bytes are: media type, digest and size, and for a
// referrer its artifact type and annotations.
type Descriptor = ocispec.Descriptor

// Manifest is a manifest as it was pushed, byte for byte.
type Manifest struct {
	MediaType string
	Digest    digest.Digest
	Bytes     []byte
}

// Content is what the bytes of a manifest say.
type Content struct {
	MediaType    string
	ArtifactType string // as a referrers list shows it: that of the manifest, else the media type of its config
	Config       *Descriptor
	Layers       []Descriptor
	Manifests    []Descriptor // the children of an index
	Subject      *Descriptor
	Annotations  map[string]string
}

// IsIndex reports whether the manifest lists other manifests.
func (c Content) IsIndex() bool {
	return c.MediaType == MediaTypeImageIndex || c.MediaType == MediaTypeDockerList
}

// Size is how many bytes config and layers have together; layers that are not kept here
// count too, as everybody who pulls needs them. Of an index it is 0.
func (c Content) Size() int64 {
	var sum int64
	if c.Config != nil {
		sum = c.Config.Size
	}
	for _, layer := range c.Layers {
		sum += layer.Size
	}
	return sum
}

// ParseManifest reads the bytes of a manifest. mediaType is what the client called
// it: its Content-Type, parameters and all, or empty if it gave none. Media types
// that berth does not know are read for the same fields as an image manifest, so
// that any artifact can be kept and its references checked.
//
// Errors: ErrManifestInvalid, ErrManifestTooLarge.
func ParseManifest(mediaType string, b []byte) (Content, error) {
	if len(b) > MaxManifestSize {
		return Content{}, ErrManifestTooLarge.With("the manifest has %d bytes; at most %d are allowed", len(b), MaxManifestSize)
	}
	var doc *document
	if err := json.Unmarshal(b, &doc); err != nil {
		if known, ok := errors.AsType[*Error](err); ok {
			return Content{}, known
		}
		return Content{}, ErrManifestInvalid.With("the manifest is not valid JSON of a manifest: %v", err)
	}
	if doc == nil {
		return Content{}, ErrManifestInvalid.With("the manifest is null; it should be a JSON object")
	}
	mediaType, err := doc.mediaType(mediaType)
	if err != nil {
		return Content{}, err
	}
	c := Content{
		MediaType:    mediaType,
		ArtifactType: doc.ArtifactType,
		Config:       (*Descriptor)(doc.Config),
		Layers:       slices.Concat([]Descriptor(doc.Layers), doc.Blobs),
		Manifests:    doc.Manifests,
		Subject:      (*Descriptor)(doc.Subject),
		Annotations:  doc.Annotations,
	}
	if c.ArtifactType == "" && c.Config != nil {
		c.ArtifactType = c.Config.MediaType
	}
	return c, c.validate()
}

// document is the union of the fields of image manifests, indexes, Docker's
// counterparts of both, and the artifact manifest that OCI withdrew.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        descriptors       `json:"layers"`
	Blobs         descriptors       `json:"blobs"`
	Manifests     descriptors       `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
	FSLayers      json.RawMessage   `json:"fsLayers"` // schema 1 only
}

var (
	documentNames   = namesOf(reflect.TypeFor[document]())
	descriptorNames = namesOf(reflect.TypeFor[Descriptor]())
	platformNames   = namesOf(reflect.TypeFor[ocispec.Platform]())
)

// namesOf are the names that the fields of a struct have in JSON.
func namesOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// UnmarshalJSON implements [json.Unmarshaler].
func (doc *document) UnmarshalJSON(b []byte) error {
	if _, err := strictMembers("the manifest", b, documentNames); err != nil {
		return err
	}
	type plain document // has no methods
	return json.Unmarshal(b, (*plain)(doc))
}

// descriptor is a Descriptor that is read strictly.
type descriptor Descriptor

// UnmarshalJSON implements [json.Unmarshaler].
func (d *descriptor) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	members, err := strictMembers("a descriptor in the manifest", b, descriptorNames)
	if err == nil && isObject(members["platform"]) {
		_, err = strictMembers("a platform in the manifest", members["platform"], platformNames)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, (*Descriptor)(d))
}

// strictMembers reads an object of a manifest, and looks at its annotations too.
func strictMembers(what string, b []byte, names []string) (map[string]json.RawMessage, error) {
	members, err := Members(b, names...)
	if err != nil {
		return nil, ErrManifestInvalid.With("%s %v", what, err)
	}
	if notes := members["annotations"]; isObject(notes) {
		if _, err := Members(notes); err != nil {
			return nil, ErrManifestInvalid.With("what annotates %s %v", what, err)
		}
	}
	return members, nil
}

func isObject(b json.RawMessage) bool { return len(b) > 0 && b[0] == '{' }

// descriptors is a list that is given up when it gets too long, since two bytes of
// JSON make a descriptor of over a hundred.
type descriptors []Descriptor

// UnmarshalJSON implements [json.Unmarshaler].
func (list *descriptors) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	switch start, err := dec.Token(); {
	case err != nil:
		return err
	case start == nil: // null
		return nil
	case start != json.Delim('['):
		return ErrManifestInvalid.With("layers, blobs and manifests of a manifest must be lists")
	}
	*list = descriptors{}
	for dec.More() {
		if len(*list) == maxReferences {
			return ErrManifestInvalid.With("the manifest refers to more than %d layers or manifests", maxReferences)
		}
		var d Descriptor
		if err := dec.Decode((*descriptor)(&d)); err != nil {
			return err
		}
		*list = append(*list, d)
	}
	return nil
}

// mediaType settles what the manifest is from what the client called it and what it
// calls itself.
func (doc *document) mediaType(header string) (string, error) {
	if doc.SchemaVersion == 1 || doc.FSLayers != nil || strings.HasPrefix(header, "application/vnd.docker.distribution.manifest.v1+") {
		return "", ErrManifestInvalid.With("Docker schema 1 manifests are not supported; " +
			"push with Docker 1.10 or later, which writes schema 2")
	}
	if header != "" {
		parsed, _, err := mime.ParseMediaType(header)
		if err != nil {
			return "", ErrManifestInvalid.With("Content-Type %q is not a media type", Clip(header))
		}
		header = parsed
	}
	claimed := strings.ToLower(doc.MediaType)
	switch {
	case claimed == "" && (header == "" || header == "application/json" || header == "application/octet-stream"):
		return doc.guess()
	case claimed == "":
		claimed = header
	case header != "" && header != claimed:
		return "", ErrManifestInvalid.With("Content-Type is %q but the manifest's mediaType is %q; send the manifest's own type",
			Clip(header), Clip(doc.MediaType))
	}
	if len(claimed) > maxMediaType {
		return "", ErrManifestInvalid.With("the media type has %d characters; at most %d are allowed", len(claimed), maxMediaType)
	}
	if parsed, _, err := mime.ParseMediaType(claimed); err != nil || parsed != claimed {
		return "", ErrManifestInvalid.With("mediaType %q is not a media type", Clip(doc.MediaType))
	}
	return claimed, nil
}

// guess names the media type of a manifest that comes without one, as early OCI
// manifests do.
func (doc *document) guess() (string, error) {
	switch {
	case doc.Manifests != nil && doc.Config == nil && doc.Layers == nil:
		return MediaTypeImageIndex, nil
	case doc.Config != nil && doc.Manifests == nil:
		return MediaTypeImageManifest, nil
	}
	return "", ErrManifestInvalid.With("the manifest has no mediaType and the request no Content-Type that tells; set one of them")
}

// validate checks what must hold before anything is looked up.
func (c *Content) validate() error {
	if len(c.Layers)+len(c.Manifests) > maxReferences {
		return ErrManifestInvalid.With("the manifest refers to %d layers and manifests; at most %d are allowed",
			len(c.Layers)+len(c.Manifests), maxReferences)
	}
	if hasControls(c.ArtifactType) {
		return ErrManifestInvalid.With("the artifact type %q has control characters", Clip(c.ArtifactType))
	}
	if len(c.ArtifactType) > maxMediaType {
		return ErrManifestInvalid.With("the artifact type has %d characters; at most %d are allowed", len(c.ArtifactType), maxMediaType)
	}
	switch c.MediaType {
	case MediaTypeImageManifest, MediaTypeDockerManifest:
		if c.Config == nil {
			return ErrManifestInvalid.With("an image manifest needs a config")
		}
		if c.Manifests != nil {
			return ErrManifestInvalid.With("an image manifest cannot list manifests; its mediaType should be that of an index")
		}
	case MediaTypeImageIndex, MediaTypeDockerList:
		if c.Config != nil || c.Layers != nil {
			return ErrManifestInvalid.With("an index cannot have a config or layers; its mediaType should be that of an image manifest")
		}
	}
	if c.Config != nil {
		if err := validateDescriptor("config", *c.Config); err != nil {
			return err
		}
	}
	for _, d := range c.Layers {
		if err := validateDescriptor("layer", d); err != nil {
			return err
		}
	}
	for _, d := range c.Manifests {
		if err := validateDescriptor("manifest", d); err != nil {
			return err
		}
	}
	if c.Subject != nil {
		return validateDescriptor("subject", *c.Subject)
	}
	return nil
}

func validateDescriptor(field string, d Descriptor) error {
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return ErrManifestInvalid.With("the digest of a %s is not valid: %s", field, err.(*Error).Message)
	}
	if hasControls(d.MediaType) || hasControls(d.ArtifactType) {
		return ErrManifestInvalid.With("the media type of the %s %s has control characters", field, d.Digest)
	}
	if d.Size < 0 {
		return ErrManifestInvalid.With("the %s %s has a negative size", field, d.Digest)
	}
	return nil
}

// hasControls looks for characters that are no part of any type; a database may be
// unable to keep them.
func hasControls(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// Distributable reports whether a layer is to be in the registry: layers that carry
// urls of their own, or a type that says so, may be absent.
// https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers
func Distributable(layer Descriptor) bool {
	return len(layer.URLs) == 0 &&
		!strings.HasPrefix(layer.MediaType, "application/vnd.oci.image.layer.nondistributable.") &&
		!strings.HasPrefix(layer.MediaType, "application/vnd.docker.image.rootfs.foreign.")
}
