package engine

import (
	"context"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/storage/meta"
)

// noteVEX has the VEX documents of a manifest read that was pushed or has come back with tags,
// if it may have any.
func noteVEX(ctx context.Context, tx *meta.Tx, r meta.Repository, d digest.Digest, c registry.Content, tags []registry.Tag) error {
	if subject, _ := scan.VEXSubject(c, tags); subject == "" {
		return nil
	}
	return tx.EnqueueVEX(ctx, r, d)
}
