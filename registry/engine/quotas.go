package engine

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/storage/meta"
)

// Whether a blob fits under the quotas is decided in the transaction that makes it visible.
// What is here spares clients from sending bytes that would be refused then.

// mayGrow refuses size more bytes, or any if size is negative, that do not fit under the
// quotas as they stand. A blob d that is there under a prefix already costs nothing; who
// does not know it yet leaves it empty. Errors: ErrQuotaExceeded.
func (e *Engine) mayGrow(ctx context.Context, repo registry.Name, d digest.Digest, size int64) error {
	quotas, err := e.meta.QuotasOver(ctx, repo)
	if err != nil {
		return err
	}
	for _, q := range quotas {
		refused := q.UsedUp(repo)
		if size >= 0 {
			if refused = nil; size > q.Left() {
				refused = q.Exceeded(repo, size)
			}
		}
		if refused == nil {
			continue
		}
		counted, err := e.meta.CountedUnder(ctx, q.Prefix, d)
		if err != nil {
			return err
		}
		if !counted {
			return refused
		}
	}
	return nil
}

// growing is mayGrow for an upload to which a chunk is added. One that is refused is
// discarded.
func (r *reception) growing(ctx context.Context, c registry.Chunk, d digest.Digest) error {
	if c.Size <= 0 { // nothing is coming, or nobody knows how much
		return nil
	}
	err := r.engine.mayGrow(ctx, r.upload.Repo, d, r.upload.Received+c.Size)
	return r.engine.discardRefused(ctx, r.upload, err)
}

// discardRefused discards an upload if err says that it does not fit.
func (e *Engine) discardRefused(ctx context.Context, u meta.Upload, err error) error {
	if !errors.Is(err, registry.ErrQuotaExceeded) {
		return err
	}
	return errors.Join(err, e.dropUpload(context.WithoutCancel(ctx), u))
}

// warn tells who has pushed to repo of quotas that are nearly used up. That does not change
// what has been done.
func (e *Engine) warn(ctx context.Context, repo registry.Name) {
	warnings := registry.WarningsFrom(ctx)
	if warnings == nil {
		return
	}
	quotas, err := e.meta.QuotasOver(ctx, repo)
	if err != nil {
		e.log.WarnContext(ctx, "quotas cannot be read, and nobody is warned", "repository", repo, "error", err)
	}
	for _, q := range quotas {
		if text := q.Warning(); text != "" {
			warnings.Add(text)
		}
	}
}
