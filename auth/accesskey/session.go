package accesskey

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// How long temporary credentials are good for, as with AWS's GetSessionToken.
const (
	MinLifetime = 15 * time.Minute
	MaxLifetime = 36 * time.Hour
)

// maxToken bounds a session token: it comes with every request, and all its headers
// together may have 64 KiB.
const maxToken = 16 << 10

// tokenEncoding is strict: a token has one form.
var tokenEncoding = base64.RawURLEncoding.Strict()

// Session is what temporary credentials were given out for.
type Session struct {
	// Account is whose credential the session depends on, and Credential that credential
	// at the time ([berth/auth.Account.Fingerprint]): the session ends with it.
	Account    string
	Credential string

	// Role is the role that was assumed, and Name what its user calls the session. Both
	// are empty in a session of the account as such.
	Role string `json:",omitempty"`
	Name string `json:",omitempty"`

	Tags map[string]string `json:",omitempty"` // of the session
}

// Credentials are an access key for some time.
type Credentials struct {
	KeyID        string
	Secret       string
	SessionToken string
	Expires      time.Time
}

// Issuer gives out temporary credentials. Nothing of them is kept, so there is no end
// to how many there are, and none can be taken back but by ending what it depends on.
type Issuer struct {
	Sealer *Sealer
	Clock  func() time.Time // nil means time.Now
}

// sealedSession is what is in a session token.
type sealedSession struct {
	Session
	Secret  string
	Expires int64 // seconds since 1970
}

// Issue gives out credentials for s, which are good from now on and for lifetime, in
// whole seconds. Whether that may be is for the caller to know.
func (i *Issuer) Issue(s Session, lifetime time.Duration) (Credentials, error) {
	switch {
	case s.Account == "" || s.Credential == "":
		return Credentials{}, fmt.Errorf("a session of nobody")
	case (s.Role == "") != (s.Name == ""):
		return Credentials{}, fmt.Errorf("a session of %s with the role %q and the name %q; it takes both or none", s.Account, s.Role, s.Name)
	case lifetime < MinLifetime || lifetime > MaxLifetime:
		return Credentials{}, fmt.Errorf("a session of %s; it may last from %s to %s", lifetime, MinLifetime, MaxLifetime)
	}
	c := Credentials{KeyID: newID(temporaryPrefix), Secret: newSecret(), Expires: i.now().Add(lifetime).Truncate(time.Second)}
	plain, err := json.Marshal(sealedSession{s, c.Secret, c.Expires.Unix()})
	if err != nil {
		return Credentials{}, err
	}
	c.SessionToken = tokenEncoding.EncodeToString(i.Sealer.seal(plain, c.KeyID))
	if len(c.SessionToken) > maxToken {
		return Credentials{}, fmt.Errorf("the tags of the session are too long: its token would have %d bytes, and may have %d", len(c.SessionToken), maxToken)
	}
	return c, nil
}

// openToken returns what is in the session token of a key.
func (s *Sealer) openToken(keyID, token string) (sealedSession, bool) {
	var session sealedSession
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which base64 passes over
		return session, false
	}
	sealed, err := tokenEncoding.DecodeString(token)
	if err != nil {
		return session, false
	}
	plain, err := s.open(sealed, keyID)
	if err != nil {
		return session, false
	}
	return session, json.Unmarshal(plain, &session) == nil
}

func (i *Issuer) now() time.Time {
	if i.Clock != nil {
		return i.Clock().UTC()
	}
	return time.Now().UTC()
}
