package engine

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/time/rate"

	"berth/registry"
	"berth/storage/meta"
)

// A scrub reads every object once, slowly, and compares it with its digest, to find what a
// disk or a bucket has spoilt while it can still be pushed anew. It goes on where it was, in
// whichever process.

// scrubState is where the state of scrubs is kept.
const scrubState registry.Setting = "scrub"

// Scrub is how far reading all objects has come, the last time that it was begun.
type Scrub struct {
	Began time.Time `json:"began,omitzero"` // zero before the first
	Ended time.Time `json:"ended,omitzero"` // zero while it is under way

	Last   digest.Digest `json:"last,omitempty"` // that was read
	Blobs  int           `json:"blobs"`
	Bytes  int64         `json:"bytes"`
	Losses int           `json:"losses"` // found by it; they are marked, and berth fsck tells of them
}

// ScrubOptions are the knobs of [Engine.Scrub].
type ScrubOptions struct {
	Every time.Duration // from the beginning of one scrub to that of the next
	Rate  int           // bytes a second that are read

	// Observe, if set, is told of what was read since it was called last.
	Observe func(bytes int64, losses int)
}

// scrubPage is how many blobs are read before that is noted.
const scrubPage = 50

// ScrubState says how far the last scrub has come.
func (e *Engine) ScrubState(ctx context.Context) (s Scrub, err error) {
	text, err := e.meta.Setting(ctx, scrubState)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &s)
	}
	return s, err
}

func (e *Engine) putScrub(ctx context.Context, s Scrub) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return e.meta.UpdateRelaxed(ctx, func(tx *meta.Tx) error { return tx.PutSetting(ctx, scrubState, string(text)) })
}

// Scrub goes on with the scrub that is under way, or begins one if it is time, until it is
// through. A blob whose object is missing or damaged becomes lost, which a push of the same
// bytes heals.
func (e *Engine) Scrub(ctx context.Context, opts ScrubOptions) error {
	s, err := e.ScrubState(ctx)
	if err != nil {
		return err
	}
	now := e.meta.Clock()
	if !s.Ended.IsZero() || s.Began.IsZero() {
		if !s.Began.IsZero() && now.Sub(s.Began) < opts.Every {
			return nil
		}
		s = Scrub{Began: now.UTC()}
	}
	limit := rate.NewLimiter(rate.Limit(opts.Rate), max(opts.Rate, copyBuffer))
	i := inspection{engine: e, limit: limit, check: Check{Deep: true, Repair: true, Found: func(p Problem) error {
		e.log.ErrorContext(ctx, "an object is not what it was; push the blob again", "kind", p.Kind, "digest", p.Digest, "key", p.Key, "message", p.Message)
		return nil
	}}}
	for s.Ended.IsZero() {
		before := i.summary
		rows, err := e.meta.Blobs(ctx, s.Last, scrubPage)
		if err != nil {
			return err
		}
		for _, b := range rows {
			if err := i.blob(ctx, b); err != nil {
				return err
			}
			s.Last = b.Digest
			s.Blobs++
			s.Bytes += b.Size
			i.summary.Bytes += b.Size
		}
		if len(rows) < scrubPage {
			s.Ended = e.meta.Clock().UTC()
		}
		s.Losses += i.summary.Losses - before.Losses
		if err := e.putScrub(ctx, s); err != nil {
			return err
		}
		if opts.Observe != nil {
			opts.Observe(i.summary.Bytes-before.Bytes, i.summary.Losses-before.Losses)
		}
	}
	return nil
}

// copyBuffer is how much is read at a time, at the most.
const copyBuffer = 32 << 10

// slowReader reads no faster than limit allows.
type slowReader struct {
	ctx   context.Context
	from  io.Reader
	limit *rate.Limiter
}

func (r slowReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p[:min(len(p), copyBuffer)])
	if waitErr := r.limit.WaitN(r.ctx, n); waitErr != nil && err == nil {
		err = waitErr
	}
	return n, err
}
