package ecr

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
)

// LayersPath is where the URLs of [Options].LayerURL lead: the digest follows it, and a
// token in the query, which no log has.
const LayersPath = "/layers/"

// LayerURL is the URL at endpoint of a blob that token is good for.
func LayerURL(endpoint string, d digest.Digest, token string) string {
	return endpoint + LayersPath + string(d) + "?" + url.Values{"token": {token}}.Encode()
}

// Layers serves blobs to whoever has a token for them, which verify reads.
func (s *Server) Layers(verify func(ctx context.Context, token string) (registry.Name, digest.Digest, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "a layer can only be read", http.StatusMethodNotAllowed)
			return
		}
		repo, d, err := verify(r.Context(), r.URL.Query().Get("token"))
		_, refused := errors.AsType[*auth.RefusedError](err)
		switch {
		case refused, err == nil && LayersPath+string(d) != r.URL.Path:
			http.Error(w, "the URL is not good for this, or not any more; ask for another with GetDownloadUrlForLayer", http.StatusForbidden)
			return
		case err != nil:
			writeError(w, err)
			return
		}
		b, err := s.registry.OpenBlob(r.Context(), repo, d, registry.Span{})
		switch {
		case errors.Is(err, registry.ErrBlobUnknown), errors.Is(err, registry.ErrNameUnknown):
			http.Error(w, message(err), http.StatusNotFound)
			return
		case err != nil:
			writeError(w, err)
			return
		}
		defer b.Content.Close()
		w.Header().Set("Content-Type", b.MediaType)
		http.ServeContent(w, r, "", time.Time{}, b.Content)
	})
}
