package registry

import "context"

type pullerKey struct{}

// WithPuller returns a context of a request that the principal with an ARN makes, so
// that a registry can tell pulls that count from those that do not.
func WithPuller(ctx context.Context, arn string) context.Context {
	return context.WithValue(ctx, pullerKey{}, arn)
}

// PullerFrom returns the ARN of who makes the request of ctx, empty if nothing says who.
func PullerFrom(ctx context.Context) string {
	arn, _ := ctx.Value(pullerKey{}).(string)
	return arn
}

type pusherKey struct{}

// WithPusher returns a context of a request that somebody makes who may push to the
// repository: what they are told is there has to stay until they can refer to it.
func WithPusher(ctx context.Context) context.Context {
	return WithPusherIf(ctx, func() bool { return true })
}

// WithPusherIf is WithPusher if may reports so, which is only called where it matters.
func WithPusherIf(ctx context.Context, may func() bool) context.Context {
	return context.WithValue(ctx, pusherKey{}, may)
}

// FromPusher reports whether somebody who may push makes the request of ctx.
func FromPusher(ctx context.Context) bool {
	may, _ := ctx.Value(pusherKey{}).(func() bool)
	return may != nil && may()
}

type mayPushKey struct{}

// WithMayPush returns a context of a request of somebody whose account may push to the
// repository if may reports so, even if the token that came with it is for pulling alone:
// clients take such a one to see what is there before they push. may is only called where it
// matters.
func WithMayPush(ctx context.Context, may func() bool) context.Context {
	return context.WithValue(ctx, mayPushKey{}, may)
}

// MayPush reports whether the account of who makes the request of ctx may push.
func MayPush(ctx context.Context) bool {
	may, _ := ctx.Value(mayPushKey{}).(func() bool)
	return may != nil && may() || FromPusher(ctx)
}

type scannerKey struct{}

// WithScanner returns a context of a request that a scanner of the registry's own makes, to
// see what is in an image: it is no pull that counts, and nothing about what is in the image
// may keep it from reading it.
func WithScanner(ctx context.Context) context.Context {
	return context.WithValue(ctx, scannerKey{}, true)
}

// FromScanner reports whether a scanner makes the request of ctx.
func FromScanner(ctx context.Context) bool {
	from, _ := ctx.Value(scannerKey{}).(bool)
	return from
}
