package scan

import (
	"context"

	"berth/registry"
)

var _ LayerCache = (*Service)(nil)

// Limits of keys of layers.
const (
	maxKeys = 1000 // that can be asked for at a time; images have at most some hundred layers
	maxKey  = 200
)

// checkKeys refuses what are no keys of layers. Errors: ErrResultInvalid.
func checkKeys(keys ...string) error {
	if len(keys) > maxKeys {
		return invalidError("more than 1000 layers are asked for at a time")
	}
	for _, key := range keys {
		if key == "" || len(key) > maxKey {
			return invalidError("a key of a layer has 1 to 200 characters")
		}
		for _, c := range []byte(key) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != ':' {
				return invalidError("the key " + registry.Clip(key) + " of a layer has other characters than letters, digits, '-' and ':'")
			}
		}
	}
	return nil
}

// Missing implements [LayerCache]. Errors: ErrResultInvalid.
func (s *Service) Missing(ctx context.Context, keys []string) ([]string, error) {
	if err := checkKeys(keys...); err != nil {
		return nil, err
	}
	return s.store.MissingLayers(ctx, keys)
}

// Layer implements [LayerCache]. Errors: ErrResultInvalid, registry.ErrNotSet if it is not there.
func (s *Service) Layer(ctx context.Context, key string) ([]byte, error) {
	if err := checkKeys(key); err != nil {
		return nil, err
	}
	kept, err := s.store.Layer(ctx, key)
	if err != nil {
		return nil, err
	}
	return expand(kept, MaxLayer)
}

// PutLayer implements [LayerCache]. Errors: ErrResultInvalid.
func (s *Service) PutLayer(ctx context.Context, key string, content []byte) error {
	if err := checkKeys(key); err != nil {
		return err
	}
	if len(content) > MaxLayer {
		return invalidError("what is to be kept of the layer is larger than 64 MiB")
	}
	kept, err := compress(content)
	if err != nil {
		return err
	}
	return s.store.PutLayer(ctx, key, kept)
}
