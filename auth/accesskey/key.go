package accesskey

import (
	"crypto/rand"
	"strings"
	"time"
)

// MaxPerAccount is how many keys an account may have, as in IAM: one in use, and one to
// take its place.
const MaxPerAccount = 2

const (
	lastingPrefix   = "AKIA" // of the IDs of keys that last
	temporaryPrefix = "ASIA" // of those that come with a session token

	idLength     = 20
	secretLength = 40
)

// Key is an access key as it is kept.
type Key struct {
	ID         string
	Account    string
	Sealed     []byte // the secret, by a [Sealer]
	Disabled   bool
	CreatedAt  time.Time
	LastUsedAt time.Time // may lag by ten minutes; zero before the first time
}

// newID makes an ID of 80 random bits.
func newID(prefix string) string { return prefix + rand.Text()[:idLength-len(prefix)] }

// newSecret makes a secret of 200 random bits. AWS's have / and + as well, which are
// all too often lost in a shell or a URL.
func newSecret() string { return (rand.Text() + rand.Text())[:secretLength] }

// isID reports whether id could have been made by newID.
func isID(id, prefix string) bool {
	if len(id) != idLength || !strings.HasPrefix(id, prefix) {
		return false
	}
	for i := len(prefix); i < len(id); i++ {
		if c := id[i]; !('A' <= c && c <= 'Z' || '2' <= c && c <= '7') {
			return false
		}
	}
	return true
}
