package queue

import "context"

// Alone calls do unless another server is doing the same, and reports whether it was called.
// It only spares the database: what goes through it has to do no harm when two servers meet.
type Alone func(ctx context.Context, do func(context.Context) error) (held bool, err error)
