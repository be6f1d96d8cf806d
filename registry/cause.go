package registry

import "context"

// Cause is whose change it is, and why, for those who look back on it.
type Cause struct {
	By  string // the ARN of a principal, "operator" and a name of who ran a command, "lifecycle"
	Why string // such as the rule of a policy; empty where somebody has simply asked for it
}

type causeKey struct{}

// WithCause returns a context of changes that c is behind.
func WithCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

// CauseFrom returns what WithCause has put in ctx, the zero Cause if nothing.
func CauseFrom(ctx context.Context) Cause {
	c, _ := ctx.Value(causeKey{}).(Cause)
	return c
}
