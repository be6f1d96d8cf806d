// Package checkup has the words of berth doctor: a [Finding] is what came of one check,
// and [Checks] makes checks one after the other. The checks themselves are in the packages
// that know what can go wrong, such as storage/meta and storage/blob/s3.
package checkup

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Severity is how bad it is.
type Severity string

// The severities. What is skipped could not be checked because of an earlier problem,
// or because there is nothing to check.
const (
	OK      Severity = "ok"
	Warning Severity = "warning"
	Problem Severity = "problem"
	Skipped Severity = "skipped"
)

// Finding is what came of one check.
type Finding struct {
	Name     string   `json:"name"`
	Severity Severity `json:"severity"`
	Seen     string   `json:"seen"`
	Advice   string   `json:"advice,omitempty"` // what to do; empty if nothing is wrong
}

// Fine is a finding that is all right.
func Fine(format string, args ...any) Finding {
	return Finding{Severity: OK, Seen: fmt.Sprintf(format, args...)}
}

// Warn is one of something with which the registry works, but not as well as it could.
func Warn(seen, advice string) Finding { return Finding{Severity: Warning, Seen: seen, Advice: advice} }

// Bad is one of something with which the registry does not work.
func Bad(seen, advice string) Finding { return Finding{Severity: Problem, Seen: seen, Advice: advice} }

// DefaultLimit is how long a check may take that has no limit of its own.
const DefaultLimit = 15 * time.Second

// grace is how long a check that is over its limit has to notice.
const grace = time.Second

// Checks makes checks and keeps what they find. It is used by one goroutine.
type Checks struct {
	Found func(Finding) // is told of each at once; may be nil

	all []Finding
}

// All is what was found so far.
func (c *Checks) All() []Finding { return slices.Clone(c.all) }

// Do makes a check within [DefaultLimit], unless one of those that it needs was a
// problem or skipped, and reports whether it went without a problem.
func (c *Checks) Do(ctx context.Context, name string, check func(context.Context) Finding, needs ...string) bool {
	return c.DoWithin(ctx, DefaultLimit, name, check, needs...)
}

// DoWithin is Do with another limit. A check that does not heed its context is left
// behind: whatever it changes may only be looked at by checks that need it.
func (c *Checks) DoWithin(ctx context.Context, limit time.Duration, name string, check func(context.Context) Finding, needs ...string) bool {
	for _, need := range needs {
		if c.failed(need) {
			c.Skip(name, "because of "+need)
			return false
		}
	}
	if ctx.Err() != nil {
		c.Skip(name, "interrupted")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan Finding, 1)
	go func() { done <- check(ctx) }()
	var f Finding
	timer := time.NewTimer(limit + grace)
	defer timer.Stop()
	select {
	case f = <-done:
	case <-timer.C:
		f = Bad(fmt.Sprintf("it did not end within %s", limit), "see whether what it uses hangs")
	}
	f.Name = name
	c.add(f)
	return f.Severity != Problem
}

// Skip notes that a check is not made.
func (c *Checks) Skip(name, why string) {
	c.add(Finding{Name: name, Severity: Skipped, Seen: why})
}

func (c *Checks) add(f Finding) {
	c.all = append(c.all, f)
	if c.Found != nil {
		c.Found(f)
	}
}

// failed reports whether a check has been a problem or skipped.
func (c *Checks) failed(name string) bool {
	return slices.ContainsFunc(c.all, func(f Finding) bool {
		return f.Name == name && (f.Severity == Problem || f.Severity == Skipped)
	})
}

// Clocks that differ by more than these are told of.
const (
	warnSkew = 30 * time.Second
	badSkew  = 5 * time.Minute
)

// Clock judges the clock of a server, which is ahead of ours by ahead.
func Clock(whose string, ahead time.Duration) Finding {
	seen := fmt.Sprintf("%s and ours agree", whose)
	if d := ahead.Abs(); d > 2*time.Second {
		direction := "ahead of"
		if ahead < 0 {
			direction = "behind"
		}
		seen = fmt.Sprintf("%s is %s %s ours", whose, d.Round(time.Second), direction)
	}
	const advice = "keep the clocks of both machines right with NTP (timedatectl set-ntp true)"
	switch d := ahead.Abs(); {
	case d > badSkew:
		return Bad(seen, advice)
	case d > warnSkew:
		return Warn(seen, advice)
	}
	return Fine("%s", seen)
}

// Median is the middle of what n calls of do take.
func Median(n int, do func() error) (time.Duration, error) {
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2], nil
}
