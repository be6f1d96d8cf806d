package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/conformance/internal/server"
)

// bound is how long any request may take.
const bound = 30 * time.Second

// client pushes and pulls, and takes another replica for each request.
type client struct {
	*trial
	id     int
	rng    *rand.Rand
	http   *http.Client
	turn   int
	token  string // empty: it sends its password each time
	serial int    // of its images
	only   int    // the one replica it talks to, if it is not negative
	strict bool   // the fault is over: every request has to succeed
}

func newClient(t *trial, id int) *client {
	return &client{
		trial: t, id: id, only: -1, turn: id,
		rng:  rand.New(rand.NewPCG(t.seed, uint64(id))),
		http: &http.Client{Timeout: bound, Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}},
	}
}

// request is what is asked for.
type request struct {
	kind   string
	method string
	path   string
	header map[string]string
	body   []byte
	upload bool // it is about an upload, which may have to go on elsewhere or start anew
	blob   bool // the answer is a blob, of which only the digest is kept
}

// answer is what came of it.
type answer struct {
	status int // zero if there was none
	header http.Header
	body   []byte
	digest digest.Digest // of the body
	err    error         // of the request, or what broke off the body
	took   time.Duration
}

// do makes a request and judges the answer. The caller may go on with it whatever it is.
func (c *client) do(q request) answer {
	c.turn++
	replica := c.turn % len(c.world.Replicas)
	if c.only >= 0 {
		replica = c.only
	}
	began := time.Now()
	a := c.ask(q, c.world.Replicas[replica].Addr)
	a.took = time.Since(began)
	what := fmt.Sprintf("client %d: %s %s at replica %d", c.id, q.method, q.path, replica)
	c.judge(what, q, a)
	if c.strict && (a.err != nil || a.status >= 300) {
		c.violation("the fault is over, but %s: %d %s %v", what, a.status, a.body, a.err)
	}
	return a
}

func (c *client) ask(q request, addr string) (a answer) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, "http://"+addr+q.path, body)
	if err != nil {
		return answer{err: err}
	}
	// So that net/http does not try again by itself.
	req.GetBody = nil
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	} else {
		req.SetBasicAuth(server.User, server.Password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	if q.blob && a.status == http.StatusOK {
		h := digest.Canonical.Digester()
		_, a.err = io.Copy(h.Hash(), resp.Body)
		a.digest = h.Digest()
		return a
	}
	a.body, a.err = io.ReadAll(resp.Body)
	a.digest = digest.FromBytes(a.body)
	return a
}

// login fetches a token, while all is well.
func (c *client) login() error {
	query := url.Values{"service": {"berth"}}
	for _, repo := range repositories {
		query.Add("scope", "repository:"+repo+":pull,push")
	}
	a := c.do(request{kind: "token", method: http.MethodGet, path: "/token?" + query.Encode()})
	var got struct{ Token string }
	if err := json.Unmarshal(a.body, &got); err != nil || got.Token == "" {
		return errors.Join(fmt.Errorf("/token answers %d %s", a.status, a.body), err)
	}
	c.token = got.Token
	return nil
}

// rest waits before another try.
func (c *client) rest(ctx context.Context) {
	_ = sleep(ctx, time.Duration(50+c.rng.IntN(250))*time.Millisecond)
}

// locationOf is the path that an answer names.
func locationOf(a answer) string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || !strings.HasPrefix(u.Path, "/v2/") {
		return ""
	}
	return u.Path
}
