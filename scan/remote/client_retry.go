package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// away says that the registry could not be reached or had no time, and may have again.
type away struct {
	err   error
	after time.Duration // that the registry asks to wait; zero if it does not say
}

func (e *away) Error() string { return "the registry cannot be reached: " + e.err.Error() }
func (e *away) Unwrap() error { return e.err }

// Away reports whether an error says that the registry could not be reached or had no time,
// rather than that it has refused something.
func Away(err error) bool {
	var a *away
	return errors.As(err, &a)
}

// retryAfter reads the header of that name, in seconds.
func retryAfter(resp *http.Response) time.Duration {
	s, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, time.Minute)
}

// retry counts the attempts at something that may fail for a while.
type retry struct {
	until time.Time
	pause time.Duration
}

func newRetry(patience time.Duration) *retry {
	return &retry{until: time.Now().Add(patience), pause: 100 * time.Millisecond}
}

// wait waits before the next attempt after one that ended with err, and reports whether
// there is to be one.
func (r *retry) wait(ctx context.Context, err error) bool {
	pause := r.pause/2 + rand.N(r.pause)
	r.pause = min(2*r.pause, 10*time.Second)
	var a *away
	if !errors.As(err, &a) {
		return false
	}
	pause = max(pause, a.after)
	if time.Now().Add(pause).After(r.until) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
