package registry

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
)

// ReferrersQuery selects referrers.
type ReferrersQuery struct {
	Subject       digest.Digest // the manifest referred to
	ArtifactTypes []string      // only these types; none means all
	Last          digest.Digest // go on after this one; empty means from the start
	Limit         int           // entries of a page
}

// Referrer is an entry of a list of referrers. It is kept as the JSON that it is
// served as: a list may be long and is asked for at every verification of an image.
type Referrer struct {
	Digest digest.Digest
	JSON   []byte // the descriptor, with the artifact type and annotations of the manifest
}

// NewReferrer describes the manifest m, which says c.
func NewReferrer(m Manifest, c Content) (Referrer, error) {
	b, err := json.Marshal(Descriptor{
		MediaType:    c.MediaType,
		ArtifactType: c.ArtifactType,
		Digest:       m.Digest,
		Size:         int64(len(m.Bytes)),
		Annotations:  c.Annotations,
	})
	return Referrer{Digest: m.Digest, JSON: b}, err
}

// Descriptor is the referrer for those who look into it.
func (r Referrer) Descriptor() (d Descriptor, err error) {
	err = json.Unmarshal(r.JSON, &d)
	return d, err
}
