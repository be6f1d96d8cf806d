package engine_test

import (
	"encoding/json"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
)

// TestMountingDisabled: a setting keeps blobs in their repository.
func TestMountingDisabled(t *testing.T) {
	onBothDatabases(t, open, func(t *testing.T, e *engine.Engine) {
		ctx := t.Context()
		b := registrytest.NewBlob(1, 1)
		_, err := e.PutBlob(ctx, "a", b.Chunk(), b.Digest)
		want(t, "PutBlob", err, nil)
		for value, expected := range map[string]error{`"DISABLED"`: registry.ErrBlobUnknown, `"ENABLED"`: nil} {
			_, err := e.SetSetting(ctx, registry.BlobMountingSetting, json.RawMessage(value))
			want(t, "SetSetting", err, nil)
			for _, from := range []registry.Name{"a", ""} {
				_, err = e.MountBlob(ctx, "b", from, b.Digest)
				want(t, "MountBlob with "+value, err, expected)
			}
			_, err = e.MountBlob(ctx, "a", "a", b.Digest)
			want(t, "MountBlob in the same repository", err, nil)
			_ = e.DeleteRepository(ctx, "b", true)
		}
	})
}
