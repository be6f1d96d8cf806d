package s3

import (
	"context"
	"sync"
	"time"
)

// Kind is what a request asks of S3.
type Kind string

// The kinds of requests. Some cost more than others, so they are counted separately.
const (
	Put      Kind = "put"      // a whole object
	Begin    Kind = "create"   // a multipart upload
	Part     Kind = "part"     // one part of it
	Complete Kind = "complete" // its end
	Abort    Kind = "abort"    // or that
	Get      Kind = "get"
	Head     Kind = "head"
	Remove   Kind = "delete"
	List     Kind = "list"  // objects, uploads or parts
	Other    Kind = "other" // the region of the bucket, credentials
)

// Operation is one request and its answer, but for the body of a Get, which takes as
// long as the client who reads it.
type Operation struct {
	Kind    Kind
	Retry   bool // the same was tried before
	Status  int  // of HTTP; zero if there was no answer
	Err     error
	Elapsed time.Duration // without the wait for a turn
}

// call is what one call of minio-go does, in one request or, with its retries, several.
type call struct {
	kind Kind
	body *body // what a put or a part sends; may be nil

	mu           sync.Mutex
	attempts     int
	contentRange string // of the answer that there is no such range
}

type callKey struct{}

// with returns the context in which minio-go is to make the call.
func (c *call) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf is the call to which a request belongs. One that minio-go makes of its own
// belongs to nobody's.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{kind: Other}
}

// attempt counts a request and reports whether it is a retry.
func (c *call) attempt() (retry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts++
	return c.attempts > 1
}

// retried reports whether there was more than one request, so that an answer to an
// earlier one may have been lost.
func (c *call) retried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attempts > 1
}

func (c *call) noteRange(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contentRange = s
}

func (c *call) notedRange() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contentRange
}
