package sigv4

import (
	"slices"
	"strings"
	"time"

	"berth/registry"
)

// skew is how far the clock of a client may be from ours, either way.
const skew = 5 * time.Minute

// scope is where and when a signature is good.
type scope struct{ date, region, service, terminator string }

// String is the scope as it is signed.
func (s scope) String() string {
	return s.date + "/" + s.region + "/" + s.service + "/" + s.terminator
}

// parseCredential takes keyid/date/region/service/terminator apart.
func parseCredential(s string) (keyID string, _ scope, err error) {
	parts := strings.Split(s, "/")
	if len(parts) != 5 {
		return "", scope{}, refuse(IncompleteSignature,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got %q", registry.Clip(s))
	}
	if keyID = parts[0]; len(keyID) > maxKeyID || !isWord(keyID) {
		return "", scope{}, ErrKeyUnknown
	}
	return keyID, scope{parts[1], parts[2], parts[3], parts[4]}, nil
}

// isWord reports whether s consists of letters, digits, hyphens and underscores.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// check says whether the claim is one for us and for now. All that is wrong with the
// scope is told at once.
func (c claim) check(now time.Time, services []string, region string) error {
	if err := c.checkTime(now.Truncate(time.Second)); err != nil {
		return err
	}
	var wrong []string
	if region != "" && c.scope.region != region || !isWord(c.scope.region) {
		wrong = append(wrong, "Credential should be scoped to a valid region, not '"+registry.Clip(c.scope.region)+"'.")
	}
	if !slices.Contains(services, c.scope.service) {
		wrong = append(wrong, "Credential should be scoped to correct service: '"+strings.Join(services, "' or '")+"'.")
	}
	if c.scope.terminator != terminator {
		wrong = append(wrong, "Credential should be scoped with a valid terminator: '"+terminator+"', not '"+registry.Clip(c.scope.terminator)+"'.")
	}
	if date := c.timestamp[:dateLength]; c.scope.date != date {
		wrong = append(wrong, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '"+
			registry.Clip(c.scope.date)+"' != '"+date+"', from '"+c.timestamp+"'.")
	}
	if len(wrong) > 0 {
		return refuse(InvalidSignature, "%s", strings.Join(wrong, " "))
	}
	return nil
}

// checkTime says whether the request comes neither late nor early. SDKs know these
// messages, and correct their clock by the Date of the answer.
func (c claim) checkTime(now time.Time) error {
	minutes := int(skew / time.Minute)
	switch {
	case c.time.Sub(now) > skew:
		return refuse(InvalidSignature, "Signature not yet current: %s is still later than %s (%s + %d min.)",
			c.timestamp, now.Add(skew).Format(timeFormat), now.Format(timeFormat), minutes)
	case c.life > 0 && now.Sub(c.time) > c.life:
		return refuse(RequestExpired, "Request has expired: it was signed at %s for %d seconds, and now is %s.",
			c.timestamp, int(c.life/time.Second), now.Format(timeFormat))
	case c.life == 0 && now.Sub(c.time) > skew:
		return refuse(InvalidSignature, "Signature expired: %s is now earlier than %s (%s - %d min.)",
			c.timestamp, now.Add(-skew).Format(timeFormat), now.Format(timeFormat), minutes)
	}
	return nil
}
