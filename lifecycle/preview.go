package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"berth/registry"
	"berth/storage/queue"
)

// previewAttempts are, with the pauses in between, half a minute: somebody waits.
const previewAttempts = 5

// previewJob does a job of kind PreviewJob. Nothing comes of one that another has followed, or
// whose repository is gone. When it is given up, whoever waits is told.
func (p *Pruner) previewJob(ctx context.Context, j queue.Job) error {
	var job PreviewPayload
	if err := json.Unmarshal(j.Payload, &job); err != nil {
		return queue.Permanent(err)
	}
	err := p.preview(ctx, job)
	switch {
	case errors.Is(err, ErrPreviewGone), errors.Is(err, registry.ErrNameUnknown):
		return nil
	case err != nil && j.Attempts == previewAttempts && ctx.Err() == nil:
		return errors.Join(err, p.store.EndLifecyclePreview(ctx, job.ID, Preview{State: Failed, Reason: err.Error()}))
	}
	return err
}

func (p *Pruner) preview(ctx context.Context, job PreviewPayload) error {
	text, err := p.store.LifecyclePreviewPolicy(ctx, job.ID)
	if err != nil {
		return err
	}
	policy, err := Parse(text)
	if err != nil {
		return p.store.EndLifecyclePreview(ctx, job.ID, Preview{State: Failed, Reason: err.Error()})
	}
	s, err := p.store.LifecycleSnapshot(ctx, job.Repository)
	if err != nil {
		return err
	}
	taken, _ := Decide(policy, s.Images, s.At)
	archives := slices.ContainsFunc(policy.rules, func(r Rule) bool { return r.Action == Transition })
	return p.store.EndLifecyclePreview(ctx, job.ID, Preview{State: Done, Archives: archives, Taken: taken})
}
