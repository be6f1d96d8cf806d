package ecr

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"berth/registry"
)

const (
	maxBody     = 6 << 20  // a manifest of 4 MiB, quoted
	maxPartBody = 29 << 20 // a layer part of 20 MiB in base64

	// smallBody is what most bodies are shorter than. They wait for nobody.
	smallBody = 8 << 10

	// bodyPatience is how long a body waits for memory.
	bodyPatience = 10 * time.Second
)

// read reads a body whole. It takes memory as bytes come, so that who announces much and
// sends nothing holds nothing, and it takes more than a little only for those whose
// signature may be good. done lets go of it.
func (s *Server) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, done func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, tooLarge(limit)
	}
	held := int64(0)
	done = func() { s.bodies.Release(held) }
	from := http.MaxBytesReader(w, r.Body, limit)
	body = make([]byte, 0, smallBody)
	for {
		if len(body) == cap(body) {
			if held == 0 {
				err = s.opts.Screen(r)
			}
			more := min(int64(cap(body)), limit+1-int64(cap(body))) // one more, or the end would not be seen
			if err == nil {
				err = s.takeMemory(r.Context(), more)
			}
			if err != nil {
				done()
				return nil, nil, err
			}
			held += more
			body = append(make([]byte, 0, int64(cap(body))+more), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch _, large := errors.AsType[*http.MaxBytesError](err); {
		case err == io.EOF:
			return body, done, nil
		case large:
			done()
			return nil, nil, tooLarge(limit)
		case err != nil:
			done()
			return nil, nil, failure(http.StatusBadRequest, "RequestAbortedException", "the body broke off after %d bytes", len(body))
		}
	}
}

// takeMemory waits a while for memory. Those who wait may hold some that others wait for, so
// nobody waits for long.
func (s *Server) takeMemory(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, bodyPatience)
	defer cancel()
	if s.bodies.Acquire(ctx, n) != nil {
		return registry.ErrUnavailable.With("the registry has no memory for the body just now; try again shortly")
	}
	return nil
}

func tooLarge(limit int64) error {
	return failure(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "the body has more than %d bytes", limit)
}
