package scan

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// ErrDatabaseOlder says that a database was made before the present one of its kind.
var ErrDatabaseOlder = errors.New("it is older than the present one")

// OlderDatabase returns ErrDatabaseOlder with both times, for people.
func OlderDatabase(made, present time.Time) error {
	return fmt.Errorf("the database was made at %s, and the present one at %s: %w",
		made.UTC().Format(time.RFC3339), present.UTC().Format(time.RFC3339), ErrDatabaseOlder)
}

// DatabaseUpdate tells how fetching the database of a kind from another registry goes.
type DatabaseUpdate struct {
	Kind        DatabaseKind  `json:"kind"`
	Reference   string        `json:"reference"`            // where it was last asked for
	Digest      digest.Digest `json:"digest,omitempty"`     // of the manifest that was there the last time that it went well
	AttemptedAt time.Time     `json:"attemptedAt"`          // the last time
	SucceededAt time.Time     `json:"succeededAt,omitzero"` // the last time that it went well, whether there was a newer one or not
	Failures    int           `json:"failures"`             // since then
	Error       string        `json:"error,omitempty"`      // of the last of them
}

// updateGrace is how long a newer database may be overdue before the present one counts as old.
const updateGrace = 24 * time.Hour

// Old reports whether a database was made longer ago than maxAge, although a newer one should
// have come: some are made more seldom than others.
func (d Database) Old(maxAge time.Duration, now time.Time) bool {
	return now.Sub(d.UpdatedAt) > maxAge && now.After(d.NextUpdate.Add(updateGrace))
}
