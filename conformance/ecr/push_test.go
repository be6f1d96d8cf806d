package ecr

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	configType   = "application/vnd.oci.image.config.v1+json"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

var repositories atomic.Int64

// newRepository makes a repository of the test's own.
func newRepository(t *testing.T, c *sdk.Client, change ...func(*sdk.CreateRepositoryInput)) *string {
	t.Helper()
	name := strings.ToLower(t.Name()) + "/" + string(rune('a'+repositories.Add(1)%26))
	in := &sdk.CreateRepositoryInput{RepositoryName: &name}
	for _, do := range change {
		do(in)
	}
	do(t, c.CreateRepository, in)
	return &name
}

// pushLayer uploads a blob in parts of a size and returns its digest.
func pushLayer(t *testing.T, c *sdk.Client, repo *string, blob []byte, part int) string {
	t.Helper()
	id := uploadParts(t, c, repo, blob, part)
	d := digestOf(blob)
	out, err := c.CompleteLayerUpload(t.Context(), &sdk.CompleteLayerUploadInput{RepositoryName: repo, UploadId: id, LayerDigests: []string{d}})
	if there := (*types.LayerAlreadyExistsException)(nil); err != nil && !errors.As(err, &there) {
		t.Fatal(err)
	} else if err == nil && *out.LayerDigest != d {
		t.Errorf("the layer has the digest %s", *out.LayerDigest)
	}
	return d
}

// uploadParts begins an upload and sends a blob in parts of a size.
func uploadParts(t *testing.T, c *sdk.Client, repo *string, blob []byte, part int) (id *string) {
	t.Helper()
	begun := do(t, c.InitiateLayerUpload, &sdk.InitiateLayerUploadInput{RepositoryName: repo})
	for first := 0; first < len(blob); first += part {
		last := min(first+part, len(blob))
		out := do(t, c.UploadLayerPart, &sdk.UploadLayerPartInput{
			RepositoryName: repo, UploadId: begun.UploadId, LayerPartBlob: blob[first:last],
			PartFirstByte: new(int64(first)), PartLastByte: new(int64(last - 1)),
		})
		if *out.LastByteReceived != int64(last-1) {
			t.Errorf("the last byte received is %d of %d", *out.LastByteReceived, last-1)
		}
	}
	return begun.UploadId
}

// image is a manifest and what is known of it.
type image struct {
	manifest, digest, layer string
	size                    int64 // of config and layer
}

func (x image) id() types.ImageIdentifier { return types.ImageIdentifier{ImageDigest: &x.digest} }

func tagged(t string) types.ImageIdentifier { return types.ImageIdentifier{ImageTag: &t} }

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// pushBlobs uploads a config and a layer that nobody else has, and makes a manifest of them.
func pushBlobs(t *testing.T, c *sdk.Client, repo *string, subject *image) image {
	t.Helper()
	config, layer := []byte(`{"seed":"`+rand.Text()+`"}`), []byte(rand.Text())
	kind := configType
	if subject != nil {
		kind = "application/vnd.example.config+json" // an artifact, which nobody can run
	}
	manifest := map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor{kind, pushLayer(t, c, repo, config, 10<<20), int64(len(config))},
		"layers": []descriptor{{layerType, pushLayer(t, c, repo, layer, 10<<20), int64(len(layer))}},
	}
	if subject != nil {
		manifest["subject"] = descriptor{manifestType, subject.digest, int64(len(subject.manifest))}
		manifest["artifactType"] = "application/spdx+json"
		manifest["annotations"] = map[string]string{"k": "v"}
	}
	return newImage(manifest, digestOf(layer), int64(len(config)+len(layer)))
}

func newImage(manifest map[string]any, layer string, size int64) image {
	b, _ := json.Marshal(manifest) // which holds nothing that cannot be written
	return image{string(b), digestOf(b), layer, size}
}

// put pushes the manifest of an image under a tag, or without one.
func put(t *testing.T, c *sdk.Client, repo *string, x image, tag string) {
	t.Helper()
	in := &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest}
	if tag != "" {
		in.ImageTag = &tag
	}
	out := do(t, c.PutImage, in)
	if *out.Image.ImageId.ImageDigest != x.digest || *out.Image.ImageManifest != x.manifest {
		t.Errorf("put %v", out.Image)
	}
}

// push pushes an image with its blobs.
func push(t *testing.T, c *sdk.Client, repo *string, tag string) image {
	t.Helper()
	x := pushBlobs(t, c, repo, nil)
	put(t, c, repo, x, tag)
	return x
}

// pushIndex pushes an index of images.
func pushIndex(t *testing.T, c *sdk.Client, repo *string, tag string, of ...image) image {
	t.Helper()
	var list []descriptor
	var size int64
	for _, x := range of {
		list = append(list, descriptor{manifestType, x.digest, int64(len(x.manifest))})
		size = max(size, x.size)
	}
	x := newImage(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": list}, "", size)
	put(t, c, repo, x, tag)
	return x
}
