package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// ClientOptions are the knobs of a [Client].
type ClientOptions struct {
	// Authorize puts the worker's credentials into a request; nil for none.
	Authorize func(*http.Request)

	// Patience is how long a request is tried again while the registry is away; zero
	// means a minute.
	Patience time.Duration

	HTTP *http.Client // nil means one of its own

	// Logger is told when the registry is away for longer than a moment, and when it is back;
	// nil means nobody is.
	Logger *slog.Logger
}

// Client asks the registry for a worker. It is safe for concurrent use.
//
// All methods try again with a backoff while the registry cannot be reached or says 429,
// 500, 502, 503, 504 or 507. Errors besides: registry.ErrUnauthorized and registry.ErrDenied when the
// credentials are not those of a worker, queue.ErrLeaseLost about a job whose lease is
// somebody else's, [Refused] when the registry says that the request cannot be.
type Client struct {
	base string
	opts ClientOptions
	away atomic.Bool // and Logger was told so
}

// NewClient returns a client of the registry at a URL such as https://registry.example.com.
func NewClient(base string, opts ClientOptions) (*Client, error) {
	base, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	if opts.Patience == 0 {
		opts.Patience = time.Minute
	}
	if opts.HTTP == nil {
		opts.HTTP = newHTTP()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{base: base, opts: opts}, nil
}

// parseBase checks the URL of a registry, and takes the slash from its end.
func parseBase(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("%q is not the URL of a registry; it should look like https://registry.example.com", base)
	}
	return u.Scheme + "://" + u.Host, nil
}

// newHTTP returns a client that does not wait for ever for an answer to begin. The longest
// is that to a lease, a minute.
func newHTTP() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 90 * time.Second
	transport.MaxIdleConnsPerHost = 8
	return &http.Client{Transport: transport}
}

// Refused is an answer of the registry that would be the same if it were asked again.
type Refused struct {
	Status  int    // of HTTP
	Message string // what the registry says, for people
}

func (e *Refused) Error() string { return e.Message }

// question is a request to the registry, which may be made several times.
type question struct {
	method, path string
	lease        string // of the job that it is about, if it is about one
	body         []byte // JSON or whatever is kept of a layer; nil for none
	zip          bool   // whether the body is worth compressing
	limit        int64  // on the body of the answer; zero means a MiB
}

// ask makes a request until there is an answer, and returns its body. Status is 200 or 204,
// all else is an error.
func (c *Client) ask(ctx context.Context, q question) (status int, body []byte, err error) {
	if q.zip {
		q.body = compress(q.body)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed time.Time // first; a lease may have waited long before
	for r := newRetry(c.opts.Patience); ; {
		status, body, err = c.once(ctx, q)
		if err != nil && failed.IsZero() {
			failed = time.Now()
		}
		c.tell(err, time.Since(failed))
		if err == nil || !r.wait(ctx, err) {
			return status, body, err
		}
	}
}

// tell says once that the registry is away, when that has been so for more than a moment, and
// once that it is back.
func (c *Client) tell(err error, since time.Duration) {
	const moment = time.Second
	switch {
	case !Away(err):
		if c.away.CompareAndSwap(true, false) {
			c.opts.Logger.Info("the registry answers again", "registry", c.base)
		}
	case since >= moment && !errors.Is(err, context.Canceled) && c.away.CompareAndSwap(false, true):
		c.opts.Logger.Warn("the registry does not answer; it is tried again", "registry", c.base, "error", err)
	}
}

func (c *Client) once(ctx context.Context, q question) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, bytes.NewReader(q.body))
	if err != nil {
		return 0, nil, err
	}
	if c.opts.Authorize != nil {
		c.opts.Authorize(req)
	}
	if q.lease != "" {
		req.Header.Set(LeaseHeader, q.lease)
	}
	if len(q.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.zip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.opts.HTTP.Do(req)
	if err != nil {
		return 0, nil, &away{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return resp.StatusCode, nil, refusal(resp)
	}
	limit := q.limit
	if limit == 0 {
		limit = 1 << 20
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return 0, nil, &away{err: fmt.Errorf("the answer of the registry broke off: %w", err)}
	}
	if int64(len(body)) > limit {
		return 0, nil, fmt.Errorf("the registry answers with more than %d bytes", limit)
	}
	return resp.StatusCode, body, nil
}

// askJSON makes a request and reads the answer into answer, if there is one.
func (c *Client) askJSON(ctx context.Context, q question, answer any) (status int, err error) {
	status, body, err := c.ask(ctx, q)
	if err == nil && status == http.StatusOK {
		if err = json.Unmarshal(body, answer); err != nil {
			err = fmt.Errorf("%s%s does not answer as a registry of berth does: %w", c.base, q.path, err)
		}
	}
	return status, err
}

// refusal is the error that an answer stands for.
func refusal(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	message := refusalMessage(text)
	if message == "" {
		message = "the registry says " + resp.Status
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return registry.ErrUnauthorized.With("the registry does not accept the credentials: %s", message)
	case http.StatusForbidden:
		return registry.ErrDenied.With("the registry denies it: %s", message)
	case http.StatusConflict:
		return queue.ErrLeaseLost
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		http.StatusInsufficientStorage:
		return &away{err: errors.New(message), after: retryAfter(resp)}
	}
	return &Refused{Status: resp.StatusCode, Message: message}
}

// refusalMessage finds the sentence in an answer, in the form of this protocol or in that
// of the distribution specification.
func refusalMessage(text []byte) string {
	var answer struct {
		Message string `json:"message"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return ""
	}
	if answer.Message == "" && len(answer.Errors) > 0 {
		return answer.Errors[0].Message
	}
	return answer.Message
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	w.Write(b) // neither fails: it is memory
	w.Close()
	return out.Bytes()
}

// Lease asks for a job, and waits for one as long as the request says. ok is false when
// there was none.
func (c *Client) Lease(ctx context.Context, r scan.LeaseRequest) (job scan.Job, ok bool, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return scan.Job{}, false, err
	}
	// The job has the token of a pull and the lease, and nothing that is long.
	status, err := c.askJSON(ctx, question{method: http.MethodPost, path: Prefix + "lease", body: body}, &job)
	return job, err == nil && status == http.StatusOK, err
}

// Databases says which databases to go by, and gives a token for pulling them.
func (c *Client) Databases(ctx context.Context) (d Databases, err error) {
	_, err = c.askJSON(ctx, question{method: http.MethodGet, path: Prefix + "databases"}, &d)
	return d, err
}
