package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"berth/conformance/internal/server"
)

// request is what a client asks for, what that does, and how the answer is to be read.
type request struct {
	kind    string // as the summary counts it
	method  string
	path    string // with the query
	header  map[string]string
	body    []byte
	stream  bool // send the body without saying how long it is
	cut     int  // break off after so many bytes of the body, if positive
	follow  bool // ask for the pages that follow too
	effects []change
	judge   func(response) verdict

	// late is judge for an answer that comes when the client has gone on without it; by default judge.
	late  func(response) verdict
	basic bool // send the password rather than the token
}

// response is an answer, with the bodies of all its pages.
type response struct {
	status int
	header http.Header
	pages  [][]byte
	op     *operation
}

func (r response) text() string { return string(bytes.Join(r.pages, nil)) }

// code is the first error code of the answer, empty if it has none.
func (r response) code() string {
	var body struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if len(r.pages) == 0 || json.Unmarshal(r.pages[0], &body) != nil || len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Code
}

// send does the HTTP of a request, each page of a list at another replica, and says which was the last.
func (c *client) send(q request, op *operation, to *process) (response, *process, error) {
	var pages [][]byte
	for path := q.path; ; {
		r, err := c.exchange(q, op, to, path)
		if err != nil {
			return r, to, err
		}
		pages = append(pages, r.pages...)
		path = nextPage(r)
		if !q.follow || path == "" {
			r.pages = pages
			return r, to, nil
		}
		if to = c.next(); to == nil {
			return r, to, errNoAnswer
		}
	}
}

// ask makes one request. The number of the operation stands in berth's log too.
func (c *client) ask(ctx context.Context, q request, op *operation, to *process, path, token string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, "http://"+to.Addr+path, nil)
	if err != nil {
		return response{}, err
	}
	if op != nil {
		req.Header.Set("X-Request-Id", "kill-"+strconv.Itoa(op.id))
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	if c.bearer && !q.basic {
		req.Header.Set("Authorization", "Bearer "+token)
	} else {
		req.SetBasicAuth(server.User, server.Password)
	}
	if len(q.body) > 0 {
		req.ContentLength = int64(len(q.body))
		req.Body = io.NopCloser(bytes.NewReader(q.body))
	}
	if q.stream {
		req.ContentLength = -1
	}
	if q.cut > 0 {
		req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(q.body[:q.cut]), cutReader{}))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{status: resp.StatusCode, header: resp.Header, pages: [][]byte{body}}, err
}

// errCut is how a client breaks off its own request.
var errCut = errors.New("cut off on purpose")

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, errCut }

// nextPage is the path of the page that follows, empty if this is the last.
func nextPage(r response) string {
	target, rel, _ := strings.Cut(r.header.Get("Link"), ";")
	if r.status != http.StatusOK || strings.TrimSpace(rel) != `rel="next"` {
		return ""
	}
	return strings.Trim(target, "<>")
}
