package registry

import (
	"context"
	"sync"
)

// Warnings are what a registry wants the one who asks to know, although it does what it is
// asked. They are safe for concurrent use.
type Warnings struct {
	mu   sync.Mutex
	list []string
}

// All is what there has been so far.
func (w *Warnings) All() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.list...)
}

// Add adds one.
func (w *Warnings) Add(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

type warningsKey struct{}

// WithWarnings returns a context of a request whose warnings are collected in w.
func WithWarnings(ctx context.Context, w *Warnings) context.Context {
	return context.WithValue(ctx, warningsKey{}, w)
}

// WarningsFrom returns where the warnings of a request are collected, nil if nobody would
// read them.
func WarningsFrom(ctx context.Context) *Warnings {
	w, _ := ctx.Value(warningsKey{}).(*Warnings)
	return w
}
