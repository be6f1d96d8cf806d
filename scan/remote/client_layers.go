package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"berth/registry"
	"berth/scan"
)

var _ scan.LayerCache = (*Client)(nil)

// Missing says which layers the registry keeps nothing of.
func (c *Client) Missing(ctx context.Context, keys []string) ([]string, error) {
	body, err := json.Marshal(Keys{Keys: keys})
	if err != nil {
		return nil, err
	}
	var missing Keys
	_, err = c.askJSON(ctx, question{method: http.MethodPost, path: Prefix + "layers/missing", body: body}, &missing)
	return missing.Keys, err
}

// Layer returns what is kept of a layer. Errors: registry.ErrBlobUnknown if nothing is.
func (c *Client) Layer(ctx context.Context, key string) ([]byte, error) {
	_, body, err := c.ask(ctx, question{method: http.MethodGet, path: layerPath(key), limit: scan.MaxLayer})
	var r *Refused
	if errors.As(err, &r) && r.Status == http.StatusNotFound {
		err = registry.ErrBlobUnknown.With("nothing is kept of the layer %s", key)
	}
	return body, err
}

// PutLayer keeps what was found in a layer.
func (c *Client) PutLayer(ctx context.Context, key string, content []byte) error {
	if len(content) > scan.MaxLayer {
		return fmt.Errorf("what was found in the layer %s takes %d bytes, of which %d are kept at most", key, len(content), scan.MaxLayer)
	}
	_, _, err := c.ask(ctx, question{method: http.MethodPut, path: layerPath(key), body: content, zip: true})
	return err
}

func layerPath(key string) string { return Prefix + "layers/" + url.PathEscape(key) }
