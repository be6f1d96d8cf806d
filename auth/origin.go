package auth

import "context"

// Origin is where a request comes from, as far as it is known.
type Origin struct {
	Address   string
	Secure    bool   // it came over TLS, if only as far as a trusted proxy
	RequestID string // as the log of requests has it
}

type originKey struct{}

// WithOrigin returns a context of a request that comes from o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns where the request of ctx comes from.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// Parameters are what a request is about to write that policies may ask about.
type Parameters struct {
	Tags           map[string]string // it attaches
	Untagged       []string          // names of tags that it takes away
	AccountSetting string            // it reads or changes
}

type parametersKey struct{}

// WithParameters returns a context of a request that has parameters.
func WithParameters(ctx context.Context, p Parameters) context.Context {
	return context.WithValue(ctx, parametersKey{}, p)
}

func parametersFrom(ctx context.Context) Parameters {
	p, _ := ctx.Value(parametersKey{}).(Parameters)
	return p
}
