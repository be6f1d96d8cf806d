package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/storage/blob"
)

// closeTimeout limits how long Close tries to free what is in the bucket.
const closeTimeout = 15 * time.Second

// Suspend sends what is held back and waits for the parts that are on their way. What is
// less than a part is in the state.
func (w *writer) Suspend(ctx context.Context) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.end(ctx); err != nil {
		return nil, err
	}
	defer w.release()
	var err error
	if held := w.last(); held != nil {
		err = w.upload.dispatch(ctx, held.number, held.body, held.crc, held.free)
	}
	if err == nil {
		err = w.upload.wait(ctx, w.cancel)
	}
	if err != nil {
		w.cancel()
		w.upload.group.Wait()
		w.upload.abandon()
		return nil, err
	}
	return w.upload.state(w.tail()).encode(), nil
}

// Commit sends what is left. Once that has begun it does not heed ctx any more, lest
// nobody knows what came of it; the timeout of the store limits it.
func (w *writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.end(ctx); err != nil {
		return err
	}
	defer w.release()
	if err := w.commit(ctx); err != nil {
		w.upload.abandon()
		return err
	}
	return nil
}

func (w *writer) commit(ctx context.Context) error {
	if held := w.last(); held != nil {
		if held.number == 1 && !w.upload.there() {
			defer held.free()
			return w.putWhole(ctx, held.body, held.crc)
		}
		if err := w.upload.dispatch(ctx, held.number, held.body, held.crc, held.free); err != nil {
			return err
		}
	} else if w.upload.begun() && w.part.size > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.upload.wait(ctx, w.cancel); err != nil {
		return err
	}
	if !w.upload.begun() {
		return w.putWhole(ctx, w.part, w.crc)
	}
	ctx, cancel := w.lastRequests(ctx)
	defer cancel()
	return w.upload.complete(ctx)
}

// putWhole stores an object that is no more than what is here.
func (w *writer) putWhole(ctx context.Context, b *body, crc uint32) error {
	ctx, cancel := w.lastRequests(ctx)
	defer cancel()
	return w.store.putObject(ctx, w.upload.name, b, crc)
}

// lastRequests is the context of those that make the object whole.
func (w *writer) lastRequests(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), commitTimeouts*w.store.timeout, errTooLong)
}

// Close frees what no Suspend has promised to keep. It may be called while Write
// waits, which then ends.
func (w *writer) Close() error {
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	w.ended = true
	w.release()
	w.upload.abandon()
	return nil
}

// end marks the writer as ended. If ctx is done, it is given up.
func (w *writer) end(ctx context.Context) error {
	if w.ended {
		return errEnded
	}
	w.ended = true
	if err := ctx.Err(); err != nil {
		w.release()
		w.upload.abandon()
		return err
	}
	return nil
}

// commitTimeouts is how many timeouts of a request a Commit may take, for its retries.
const commitTimeouts = 3

// complete makes an object of the parts. If S3 does not know the upload, or does not
// answer, the object may be there all the same: the answer was lost, or whoever
// committed it has died before he could note it. Then it is looked at.
func (u *upload) complete(ctx context.Context) error {
	retried, err := u.store.client.complete(ctx, u)
	if err != nil {
		word := lost(fault(ctx, "complete an upload", err))
		if answered(err) && !errors.Is(word, blob.ErrLost) || is(err, 0, "InvalidPart") {
			return word
		}
		switch is, found := u.store.isObject(u, retried); {
		case found != nil && errors.Is(found, blob.ErrNotExist):
			return word
		case found != nil:
			return errors.Join(word, found)
		case !is:
			return fmt.Errorf("%w: %s holds something else: %w", blob.ErrLost, u.name, err)
		}
	}
	if u.strays {
		u.store.background(func(ctx context.Context) error { return u.store.abortUploads(ctx, u.name, u.id) })
	}
	return nil
}
