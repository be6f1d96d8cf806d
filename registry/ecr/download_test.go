package ecr_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/registrytest"
)

// TestLayers reads a blob with a token that is good for it, and with others.
func TestLayers(t *testing.T) {
	f := newFace(t)
	image := registrytest.Recipe{Seed: 1}.Image()
	f.push(t, "rr", image, "v1")
	layer := image.Blobs[len(image.Blobs)-1]
	h := f.Layers(func(_ context.Context, token string) (registry.Name, digest.Digest, error) {
		switch token {
		case "good":
			return "rr", layer.Digest, nil
		case "of a blob that is gone":
			return "rr", digest.Digest(someDigest), nil
		case "fault":
			return "", "", errors.New("the secret of the database")
		}
		return "", "", auth.Unauthenticated(auth.InvalidToken, "no")
	})
	for _, test := range []struct {
		method, url string
		status      int
	}{
		{"GET", ecr.LayerURL("", layer.Digest, "good"), 200},
		{"HEAD", ecr.LayerURL("", layer.Digest, "good"), 200},
		{"PUT", ecr.LayerURL("", layer.Digest, "good"), 405},
		{"GET", ecr.LayerURL("", layer.Digest, "bad"), 403},
		{"GET", ecr.LayersPath + string(layer.Digest), 403},
		{"GET", ecr.LayerURL("", digest.Digest(someDigest), "good"), 403},
		{"GET", ecr.LayerURL("", digest.Digest(someDigest), "of a blob that is gone"), 404},
		{"GET", ecr.LayerURL("", layer.Digest, "fault"), 500},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(test.method, test.url, nil))
		if w.Code != test.status || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s: %d %s", test.method, test.url, w.Code, w.Body)
		}
		if test.status == http.StatusOK && test.method == "GET" && w.Body.String() != string(layer.Bytes) {
			t.Errorf("%d bytes", w.Body.Len())
		}
	}
}
