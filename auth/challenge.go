package auth

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Challenge tells a client that was refused how to log in.
type Challenge struct {
	Realm   string // URL of the token endpoint; empty asks for Basic instead of a token
	Service string // the name of this registry in tokens
}

// Header is the WWW-Authenticate header that goes with err: with the scopes that a
// token needs for the request, if err tells.
// https://distribution.github.io/distribution/spec/auth/token/
func (c Challenge) Header(err error) string {
	if c.Realm == "" {
		return "Basic realm=" + quote(c.Service)
	}
	var b strings.Builder
	b.WriteString("Bearer realm=" + quote(c.Realm) + ",service=" + quote(c.Service))
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		if len(refused.Scopes) > 0 {
			b.WriteString(",scope=" + quote(FormatScopes(refused.Scopes)))
		}
		if refused.Reason != NoReason {
			b.WriteString(",error=" + quote(string(refused.Reason)))
		}
	}
	return b.String()
}

// RetryAfter sets the header of that name if err says when to come back.
func RetryAfter(h http.Header, err error) {
	if throttled, ok := errors.AsType[*ThrottledError](err); ok {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(throttled.RetryAfter.Seconds()))))
	}
}

// quote writes a quoted-string of RFC 9110, section 5.6.4. Control characters, of
// which none belongs there, are dropped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c != 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
