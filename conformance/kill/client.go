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

	"berth/conformance/internal/server"
)

// lab is what all clients share.
type lab struct {
	model    *model
	library  *library
	tags     []string
	addr     atomic.Pointer[string] // where the registry listens now
	killing  atomic.Bool            // the process is being killed, so that errors are no surprise
	restarts atomic.Int64           // uploads that could not go on after a kill
	storm    atomic.Pointer[storm]
	popular  []content // what everybody pushes, again and again
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

// errDied ends what a client was doing: the process was killed meanwhile.
var errDied = errors.New("the registry was killed")

// call does a request and holds the answer against the model.
func (c *client) call(q request) (response, error) {
	if err := c.login(); err != nil {
		return response{}, err
	}
	op := c.model.begin(c.id, q.kind, q.method+" "+q.path, q.effects)
	r, err := c.send(q, op.id)
	r.op = op
	switch {
	case err == nil:
		return r, c.model.conclude(op, r.status, q.judge(r))
	case q.cut > 0 && errors.Is(err, errCut):
		c.model.cutOff(op)
		return r, nil
	}
	c.model.cutOff(op)
	return r, c.broken(op.String(), err)
}

// broken is errDied if the process was killed; else nothing excuses a broken connection.
func (c *client) broken(what string, err error) error {
	if c.killing.Load() {
		return errDied
	}
	return fmt.Errorf("violation: nobody killed the registry, but: %s: %w", what, err)
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
	req, err := http.NewRequest(http.MethodGet, "http://"+*c.addr.Load()+"/token?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(server.User, server.Password)
	resp, err := c.http.Do(req)
	if err != nil {
		return c.broken("GET /token", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return c.broken("GET /token", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("violation: GET /token answers %s", resp.Status)
	}
	c.token, c.fetched = answer.Token, time.Now()
	return nil
}
