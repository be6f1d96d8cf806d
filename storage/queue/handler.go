package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Handler does the jobs of one kind.
type Handler struct {
	// Do does a job. It may be called again for a job that it has done, and has to
	// notice or not to mind. ctx ends when the worker does, or when the lease is lost
	// and somebody else may have begun; Do should return soon after.
	//
	// An error has the job tried again later, unless it is [Permanent]; how much later
	// says [Later]. A panic is an error.
	Do func(ctx context.Context, j Job) error

	// Attempts is after how many a job is given up; zero means DefaultAttempts.
	Attempts int
}

// DefaultAttempts are, with the pauses in between, some nine hours.
const DefaultAttempts = 20

func (h Handler) attempts() int {
	if h.Attempts == 0 {
		return DefaultAttempts
	}
	return h.Attempts
}

// Handle returns a handler that gets the payload decoded. What cannot be decoded is
// given up.
func Handle[T any](do func(ctx context.Context, payload T) error) Handler {
	return Handler{Do: func(ctx context.Context, j Job) error {
		var payload T
		if err := json.Unmarshal(j.Payload, &payload); err != nil {
			return Permanent(fmt.Errorf("the payload: %w", err))
		}
		return do(ctx, payload)
	}}
}

// Permanent marks an error that another attempt would only meet again: the job is
// given up at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

func isPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}

// Later is the error of a handler that has found the time not to be ripe: the job waits
// for d, and this does not count as an attempt.
func Later(d time.Duration, reason string) error { return &later{d, reason} }

type later struct {
	pause  time.Duration
	reason string
}

func (l *later) Error() string { return l.reason }

// isLater returns the pause of an error made by [Later], or nil.
func isLater(err error) *later {
	var l *later
	errors.As(err, &l)
	return l
}

// maxReason is how much of an error is kept, in bytes.
const maxReason = 1000

// reason is an error as it is kept.
func reason(err error) string { return Reason(err.Error()) }

// Reason is what somebody has said of a job as it is kept: of bounded length, and text to
// every database.
func Reason(said string) string {
	s := strings.ReplaceAll(strings.ToValidUTF8(said, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	end := maxReason - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
