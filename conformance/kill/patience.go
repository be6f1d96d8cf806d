package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// maxPatience is how long a client waits for a replica that stands still. It is shorter than the longest pause.
const maxPatience = 2500 * time.Millisecond

// late is the requests that clients have left without an answer, but not broken off: the answer may come when the
// replica goes on, and is held against the model then.
type late struct {
	group sync.WaitGroup
	fail  func(error)
}

// errLeft says that the answer will come late.
var errLeft = fmt.Errorf("%w; the answer is waited for elsewhere", errNoAnswer)

// exchange makes one request of an operation, or of none. When the replica stands still for too long, the client goes
// on without an answer. Then it either hangs up, after which nobody knows how long the replica will be at it, or it
// leaves the line open.
func (c *client) exchange(q request, op *operation, to *process, path string) (response, error) {
	if !c.registry.replicated() {
		return c.ask(context.Background(), q, op, to, path, c.token)
	}
	type answer struct {
		response
		error
	}
	ctx, hangUp := context.WithCancel(context.Background())
	answers := make(chan answer, 1)
	stood := to.pauses.Load() &^ 1
	token := c.token
	go func() {
		r, err := c.ask(ctx, q, op, to, path, token)
		hangUp()
		answers <- answer{r, err}
	}()
	patience := time.Duration(c.rng.Int64N(int64(maxPatience)))
	for {
		select {
		case a := <-answers:
			return a.response, a.error
		case <-time.After(patience):
		}
		if to.pauses.Load() == stood {
			patience = maxPatience / 10 // it is busy; as long as it does not stand still there is hope
			continue
		}
		if op == nil || len(op.effects) == 0 || c.rng.IntN(2) == 0 {
			if q.method != http.MethodGet && q.method != http.MethodHead {
				to.limbo.Add(1)
			}
			hangUp()
			return response{}, errNoAnswer
		}
		c.late.group.Go(func() {
			a := <-answers
			if err := c.hear(q, op, to, a.response, a.error); err != nil {
				c.late.fail(err)
			}
		})
		return response{}, errLeft
	}
}

// hear takes in a late answer.
func (l *lab) hear(q request, op *operation, to *process, r response, err error) error {
	if err != nil {
		l.lost(op)
		if to.dead.Load() {
			return nil
		}
		return broken(to, op.String(), err)
	}
	judge := q.judge
	if q.late != nil {
		judge = q.late
	}
	return l.model.conclude(op, r.status, judge(r))
}
