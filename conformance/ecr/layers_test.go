package ecr

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func TestLayers(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	blob := make([]byte, 13<<20)
	rand.Read(blob)
	d := pushLayer(t, c, repo, blob, 6<<20)
	checked := do(t, c.BatchCheckLayerAvailability, &sdk.BatchCheckLayerAvailabilityInput{
		RepositoryName: repo, LayerDigests: []string{d, someDigest, "bad", ""},
	})
	if len(checked.Layers) != 2 || checked.Layers[0].LayerAvailability != "AVAILABLE" || *checked.Layers[0].LayerSize != int64(len(blob)) ||
		checked.Layers[1].LayerAvailability != "UNAVAILABLE" || len(checked.Failures) != 2 ||
		checked.Failures[0].FailureCode != "InvalidLayerDigest" || checked.Failures[1].FailureCode != "MissingLayerDigest" {
		t.Errorf("checked %+v", checked)
	}

	download := &sdk.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &d}
	refused[*types.LayerInaccessibleException](t, c.GetDownloadUrlForLayer, download, "")
	refused[*types.LayersNotFoundException](t, c.GetDownloadUrlForLayer, &sdk.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &someDigest}, "")
	config := []byte("{}")
	put(t, c, repo, newImage(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptor{configType, pushLayer(t, c, repo, config, 10), 2},
		"layers": []descriptor{{layerType, d, int64(len(blob))}},
	}, d, 0), "v1")
	answer, err := http.Get(*do(t, c.GetDownloadUrlForLayer, download).DownloadUrl)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(b, blob) {
		t.Errorf("the download has status %d and %d bytes: %v", answer.StatusCode, len(b), err)
	}
}

func TestUploads(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	blob := make([]byte, 100)
	rand.Read(blob)
	complete := func(id *string, d string) *sdk.CompleteLayerUploadInput {
		return &sdk.CompleteLayerUploadInput{RepositoryName: repo, UploadId: id, LayerDigests: []string{d}}
	}
	id := do(t, c.InitiateLayerUpload, &sdk.InitiateLayerUploadInput{RepositoryName: repo}).UploadId
	refused[*types.EmptyUploadException](t, c.CompleteLayerUpload, complete(id, someDigest), "")
	part := func(first, last int64) *sdk.UploadLayerPartInput {
		return &sdk.UploadLayerPartInput{RepositoryName: repo, UploadId: id, PartFirstByte: &first, PartLastByte: &last, LayerPartBlob: blob[:50]}
	}
	do(t, c.UploadLayerPart, part(0, 49))
	for _, bad := range []*sdk.UploadLayerPartInput{part(0, 49), part(51, 100), part(50, 98)} {
		e := refused[*types.InvalidLayerPartException](t, c.UploadLayerPart, bad, "")
		if *e.LastValidByteReceived != 49 || *e.UploadId != *id || *e.RepositoryName != *repo || *e.RegistryId != account {
			t.Errorf("%+v", e)
		}
	}
	refused[*types.InvalidLayerException](t, c.CompleteLayerUpload, complete(id, someDigest), "")
	refused[*types.UploadNotFoundException](t, c.CompleteLayerUpload, complete(id, someDigest), "")
	refused[*types.UploadNotFoundException](t, c.UploadLayerPart, part(0, 49), "")

	small := uploadParts(t, c, repo, blob, 60)
	refused[*types.LayerPartTooSmallException](t, c.CompleteLayerUpload, complete(small, digestOf(blob)), "All layer parts except the last part should be at least 5MB")
	whole := uploadParts(t, c, repo, blob, 100)
	do(t, c.CompleteLayerUpload, complete(whole, digestOf(blob)))
	again := uploadParts(t, c, repo, blob, 100)
	refused[*types.LayerAlreadyExistsException](t, c.CompleteLayerUpload, complete(again, digestOf(blob)), "")
}

// TestTooManyParts: a layer comes in 4,200 parts at the most.
func TestTooManyParts(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	id := uploadParts(t, c, repo, make([]byte, 4200), 1)
	_, err := c.UploadLayerPart(t.Context(), &sdk.UploadLayerPartInput{
		RepositoryName: repo, UploadId: id, PartFirstByte: new(int64(4200)), PartLastByte: new(int64(4200)), LayerPartBlob: []byte{0},
	})
	if limit := (*types.LimitExceededException)(nil); !errors.As(err, &limit) {
		t.Errorf("the 4,201st: %v", err)
	}
}
