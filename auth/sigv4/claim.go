package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"berth/registry"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	timeFormat = "20060102T150405Z"
	dateLength = len("20060102")

	// maxLife is the longest that a presigned request may be good for, in seconds.
	maxLife = 7 * 24 * 60 * 60

	maxKeyID   = 128 // as in IAM
	maxHeaders = 100 // that are signed
)

// The parameters of a presigned request. The last three are headers of others.
const (
	algorithmParameter     = "X-Amz-Algorithm"
	credentialParameter    = "X-Amz-Credential"
	signedHeadersParameter = "X-Amz-SignedHeaders"
	signatureParameter     = "X-Amz-Signature"
	expiresParameter       = "X-Amz-Expires"
	dateHeader             = "X-Amz-Date"
	tokenHeader            = "X-Amz-Security-Token"
	contentHeader          = "X-Amz-Content-Sha256"
)

// claim is what a request says of its signature.
type claim struct {
	keyID     string
	scope     scope
	headers   []string // that are signed, in lower case and in order
	signature string
	timestamp string // as it was signed
	time      time.Time
	token     string
	presigned bool
	life      time.Duration // of a presigned request that says so, or zero
}

// fields are the parts of a claim as they arrive.
type fields struct {
	algorithm, credential, signedHeaders, signature, timestamp string
}

// parseClaim finds the claim of a request, in its header or in its query.
func parseClaim(r *http.Request, q query) (claim, error) {
	_, presigned := q.get(algorithmParameter)
	headers := r.Header["Authorization"]
	switch {
	case len(headers) > 1:
		return claim{}, refuse(IncompleteSignature, "The request has more than one Authorization header.")
	case len(headers) == 1 && presigned:
		return claim{}, refuse(InvalidSignature, "Found both '%s' as a query-string param and 'Authorization' as HTTP header.", algorithmParameter)
	case presigned:
		return queryClaim(q)
	case len(headers) == 1 && strings.HasPrefix(headers[0], "AWS4-"):
		return headerClaim(r, headers[0])
	}
	return claim{}, errMissing
}

// headerClaim reads an Authorization header.
func headerClaim(r *http.Request, header string) (claim, error) {
	f, err := parseAuthorization(header)
	if err != nil {
		return claim{}, err
	}
	name := dateHeader
	if r.Header.Get(name) == "" {
		name = "Date"
	}
	if len(r.Header[name]) > 1 {
		return claim{}, refuse(InvalidSignature, "The request has more than one '%s' header.", name)
	}
	f.timestamp = r.Header.Get(name)

	var lacks []string
	for _, p := range []struct{ name, value string }{
		{"Credential", f.credential}, {"Signature", f.signature}, {"SignedHeaders", f.signedHeaders},
	} {
		if p.value == "" {
			lacks = append(lacks, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	if f.timestamp == "" {
		lacks = append(lacks, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(lacks) > 0 {
		return claim{}, refuse(IncompleteSignature, "%s", strings.Join(lacks, " "))
	}
	c, err := f.claim()
	c.token = r.Header.Get(tokenHeader)
	return c, err
}

// parseAuthorization takes an Authorization header apart. Blanks around commas do not
// matter.
func parseAuthorization(header string) (fields, error) {
	var f fields
	name, rest, _ := strings.Cut(header, " ")
	f.algorithm = name
	for pair := range strings.SplitSeq(rest, ",") {
		name, value, found := strings.Cut(strings.Trim(pair, " "), "=")
		if !found {
			return f, refuse(IncompleteSignature, "%q not a valid key=value pair (missing equal-sign) in Authorization header.", registry.Clip(name))
		}
		var field *string
		switch name {
		case "Credential":
			field = &f.credential
		case "SignedHeaders":
			field = &f.signedHeaders
		case "Signature":
			field = &f.signature
		default:
			return f, refuse(IncompleteSignature, "Authorization header has an unknown parameter %q.", registry.Clip(name))
		}
		if *field != "" {
			return f, refuse(IncompleteSignature, "Authorization header has the parameter '%s' twice.", name)
		}
		*field = value
	}
	return f, nil
}

// queryClaim reads the parameters of a presigned request.
func queryClaim(q query) (claim, error) {
	var f fields
	var lacks []string
	for _, p := range []struct {
		name  string
		value *string
	}{
		{algorithmParameter, &f.algorithm},
		{credentialParameter, &f.credential},
		{signatureParameter, &f.signature},
		{signedHeadersParameter, &f.signedHeaders},
		{dateHeader, &f.timestamp},
	} {
		if *p.value, _ = q.get(p.name); *p.value == "" {
			lacks = append(lacks, "AWS query-string parameters must include '"+p.name+"'.")
		}
	}
	if len(lacks) > 0 {
		return claim{}, refuse(IncompleteSignature, "%s Re-examine the query-string parameters.", strings.Join(lacks, " "))
	}
	c, err := f.claim()
	if err != nil {
		return claim{}, err
	}
	c.presigned = true
	c.token, _ = q.get(tokenHeader)
	if text, ok := q.get(expiresParameter); ok {
		// Not all clients say it; without it the window is that of any request.
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil || seconds < 1 || seconds > maxLife {
			return claim{}, refuse(IncompleteSignature, "%s must be a number of seconds from 1 to %d, not %q.", expiresParameter, maxLife, registry.Clip(text))
		}
		c.life = time.Duration(seconds) * time.Second
	}
	return c, nil
}

// claim reads the fields, of which none is empty.
func (f fields) claim() (claim, error) {
	if f.algorithm != algorithm {
		return claim{}, refuse(IncompleteSignature, "Unsupported AWS 'algorithm': %q (only %s for now).", registry.Clip(f.algorithm), algorithm)
	}
	t, err := time.Parse(timeFormat, f.timestamp)
	if err != nil || len(f.timestamp) != len(timeFormat) { // Parse takes fractions, too
		return claim{}, refuse(IncompleteSignature, "Date must be in ISO-8601 'basic format'. Got %q. See http://en.wikipedia.org/wiki/ISO_8601", registry.Clip(f.timestamp))
	}
	c := claim{signature: f.signature, timestamp: f.timestamp, time: t}
	if c.keyID, c.scope, err = parseCredential(f.credential); err != nil {
		return claim{}, err
	}
	if c.headers = strings.Split(f.signedHeaders, ";"); len(c.headers) > maxHeaders {
		return claim{}, refuse(IncompleteSignature, "SignedHeaders must be at most %d names.", maxHeaders)
	}
	last := ""
	for _, name := range c.headers {
		if name <= last || !isHeaderName(name) {
			return claim{}, refuse(IncompleteSignature, "SignedHeaders must be names in lower case and in order, each once, with ';' between them.")
		}
		last = name
	}
	return c, nil
}

// isHeaderName reports whether s is the name of a header in lower case.
// https://www.rfc-editor.org/rfc/rfc9110#name-tokens
func isHeaderName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
