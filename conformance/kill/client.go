package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// lab is what all clients share.
type lab struct {
	model    *model
	library  *library
	tags     []string
	registry *registry
	restarts atomic.Int64 // uploads that could not go on after a kill
	late     late
	storm    atomic.Pointer[storm]
	popular  []content // what everybody pushes, again and again
	parts    bool      // some blobs are so large that a bucket gets them in several parts
}

// client is a user of the registry who does one thing after another.
type client struct {
	*lab
	id      int
	rng     *rand.Rand
	http    *http.Client
	bearer  bool // it fetches tokens; otherwise it sends its password each time
	token   string
	fetched time.Time
	uploads []*upload // that it has begun and will go on with
	turn    int       // of the replicas
}

func newClient(l *lab, id int, seed uint64) *client {
	return &client{
		lab:    l,
		id:     id,
		rng:    rand.New(rand.NewPCG(seed, uint64(id))),
		http:   &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		bearer: id%2 == 1,
	}
}

// errNoAnswer ends what a client was doing: the process was killed meanwhile, or stood still for longer than the client
// would wait.
var errNoAnswer = errors.New("the registry was killed or stands still")

// call does a request and holds the answer against the model.
func (c *client) call(q request) (response, error) {
	if err := c.login(); err != nil {
		return response{}, err
	}
	to := c.next()
	if to == nil {
		return response{}, errNoAnswer
	}
	op := c.model.begin(c.id, q.kind, q.method+" "+q.path, q.effects)
	r, to, err := c.send(q, op, to)
	r.op = op
	switch {
	case err == nil:
		return r, c.model.conclude(op, r.status, q.judge(r))
	case errors.Is(err, errLeft):
		return r, errNoAnswer
	case q.cut > 0 && errors.Is(err, errCut):
		c.model.cutOff(op)
		return r, nil
	}
	c.lost(op)
	return r, broken(to, op.String(), err)
}

// next is the process to ask now: each time another one, if there are several. It is nil if all are dead.
func (c *client) next() *process {
	alive := c.registry.alive()
	if len(alive) == 0 {
		return nil
	}
	c.turn++
	return alive[c.turn%len(alive)]
}

// lost notes that there will be no answer. The only process takes along all it was doing. Of several, the one that had
// it may still be at it, and even of a dead one the database may be carrying out the last wish.
func (l *lab) lost(op *operation) {
	if l.registry.replicated() {
		l.model.abandon(op)
		return
	}
	l.model.cutOff(op)
}

// broken is errNoAnswer if the process was killed or has kept the client waiting; else nothing excuses a broken
// connection.
func broken(to *process, what string, err error) error {
	if to == nil || to.dead.Load() || errors.Is(err, errNoAnswer) {
		return errNoAnswer
	}
	return fmt.Errorf("violation: nobody killed replica %d, but: %s: %w", to.number, what, err)
}

// login fetches a token if this client works with tokens and its last one is old. Tokens outlive the process, so that
// a kill is no reason to fetch one.
func (c *client) login() error {
	if !c.bearer || time.Since(c.fetched) < 3*time.Minute {
		return nil
	}
	query := url.Values{"service": {"berth"}, "scope": {"registry:catalog:*", "repository:" + nowhere + ":pull"}}
	for _, r := range c.model.repos {
		query.Add("scope", "repository:"+r.name+":pull,push,delete")
	}
	to := c.next()
	if to == nil {
		return errNoAnswer
	}
	r, err := c.exchange(request{method: http.MethodGet, basic: true}, nil, to, "/token?"+query.Encode())
	if err != nil {
		return broken(to, "GET /token", err)
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(r.pages[0], &answer); err != nil || r.status != http.StatusOK {
		return fmt.Errorf("violation: GET /token answers %d %s", r.status, r.text())
	}
	c.token, c.fetched = answer.Token, time.Now()
	return nil
}
