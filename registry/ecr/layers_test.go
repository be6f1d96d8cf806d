package ecr_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// TestPartSizes: every part but the last has at least 5 MiB, which is told at the end.
func TestPartSizes(t *testing.T) {
	const least = 5 << 20
	for _, test := range []struct {
		name  string
		parts []int
		want  any
	}{
		{"one small part", []int{1}, nil},
		{"the least", []int{least, least, 1}, nil},
		{"a small first part", []int{least - 1, least}, "LayerPartTooSmallException"},
		{"a small part in the middle", []int{least, 1, least}, "LayerPartTooSmallException"},
		{"two small parts", []int{1, 1}, "LayerPartTooSmallException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFace(t)
			f.do(t, "CreateRepository", members{"repositoryName": "rr"})
			id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"]
			var layer []byte
			for _, size := range test.parts {
				part := make([]byte, size)
				got := f.do(t, "UploadLayerPart", members{
					"repositoryName": "rr", "uploadId": id, "partFirstByte": len(layer), "partLastByte": len(layer) + size - 1, "layerPartBlob": part,
				})
				if got["lastByteReceived"] != float64(len(layer)+size-1) {
					t.Fatal(got)
				}
				layer = append(layer, part...)
			}
			d := digest.FromBytes(layer)
			if got := f.do(t, "CompleteLayerUpload", members{"repositoryName": "rr", "uploadId": id, "layerDigests": []any{d}}); got["failed"] != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestPartOfFault: what a fault has left of a part is no part of its own.
func TestPartOfFault(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"].(string)
	_, err := f.engine.AppendUpload(t.Context(), "rr", registry.UploadID(id), registry.Chunk{Size: 6 << 20, Body: strings.NewReader("cut off"), Note: "no"})
	if err == nil {
		t.Fatal("a chunk that breaks off is taken")
	}
	layer := append([]byte("cut off"), make([]byte, 5<<20)...)
	for _, part := range [][2]int{{7, 5 << 20}, {5 << 20, len(layer)}} {
		got := f.do(t, "UploadLayerPart", members{
			"repositoryName": "rr", "uploadId": id, "partFirstByte": part[0], "partLastByte": part[1] - 1, "layerPartBlob": layer[part[0]:part[1]],
		})
		if got["failed"] != nil {
			t.Fatal(got)
		}
	}
	d := digest.FromBytes(layer)
	if got := f.do(t, "CompleteLayerUpload", members{"repositoryName": "rr", "uploadId": id, "layerDigests": []any{d}}); got["layerDigest"] != d.String() {
		t.Error(got)
	}
}

func TestTooManyParts(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"].(string)
	_, err := f.engine.AppendUpload(t.Context(), "rr", registry.UploadID(id), registry.Chunk{Size: 1, Body: strings.NewReader("x"), Note: `{"count":4199,"end":1}`})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []any{nil, "LimitExceededException"} {
		got := f.do(t, "UploadLayerPart", members{
			"repositoryName": "rr", "uploadId": id, "partFirstByte": n + 1, "partLastByte": n + 1, "layerPartBlob": []byte("y"),
		})
		if got["failed"] != want {
			t.Errorf("part %d: %v, want %v", 4200+n, got, want)
		}
	}
}

// TestEmptyPart: a part is at least a byte.
func TestEmptyPart(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"]
	got := f.do(t, "UploadLayerPart", members{"repositoryName": "rr", "uploadId": id, "partFirstByte": 1, "partLastByte": 0, "layerPartBlob": ""})
	if got["failed"] != "InvalidLayerPartException" || got["all"].(members)["lastValidByteReceived"] != float64(-1) {
		t.Error(got)
	}
}

// TestLayerOverQuota: what does not fit is refused before it is written.
func TestLayerOverQuota(t *testing.T) {
	f := newFace(t)
	f.do(t, "CreateRepository", members{"repositoryName": "rr"})
	id := f.do(t, "InitiateLayerUpload", members{"repositoryName": "rr"})["uploadId"]
	if err := f.engine.SetQuota(t.Context(), "rr", 2); err != nil {
		t.Fatal(err)
	}
	got := f.do(t, "UploadLayerPart", members{
		"repositoryName": "rr", "uploadId": id, "partFirstByte": 0, "partLastByte": 2, "layerPartBlob": []byte("yyy"),
	})
	if got["failed"] != "LimitExceededException" {
		t.Error(got)
	}
}
