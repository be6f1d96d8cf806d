package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"berth/registry"
)

// Values of x-amz-content-sha256 that are no hash.
const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	streaming       = "STREAMING-"
)

// canonical is the request as it was signed.
func (v *Verifier[P]) canonical(r *http.Request, q query, c claim, body []byte) ([]byte, error) {
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b, err := appendPath(b, r.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	b = q.appendTo(b, c.presigned)
	b = append(b, '\n')
	if err := checkHeaders(r.Header, q, c); err != nil {
		return nil, err
	}
	for _, name := range c.headers {
		value, err := v.header(r, name)
		if err != nil {
			return nil, err
		}
		b = append(b, name...)
		b = append(b, ':')
		b = appendFolded(b, value)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, strings.Join(c.headers, ";")...)
	b = append(b, '\n')
	payload, err := v.payload(r, q, c, body)
	return append(b, payload...), err
}

// appendPath appends a path, which is escaped once, as it is signed: escaped twice.
// Empty and dot segments are refused: some clients sign them and some leave them out
// first, and a router may see them differently again.
func appendPath(b []byte, path string) ([]byte, error) {
	if path == "" {
		return append(b, '/'), nil
	}
	segments := strings.Split(path, "/")
	if len(segments) < 2 || segments[0] != "" {
		return nil, refuse(InvalidSignature, "The path must begin with a slash.")
	}
	for i, s := range segments[1:] {
		if s == "" && i < len(segments)-2 || isDots(s) {
			return nil, refuse(InvalidSignature, "The path has an empty or a dot segment, which could be read in two ways.")
		}
		b = append(b, '/')
		b = append(b, escape(s)...)
	}
	return b, nil
}

// isDots reports whether a segment means its folder or the one above.
func isDots(segment string) bool {
	switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
	case ".", "..":
		return true
	}
	return false
}

// checkHeaders says whether all headers are signed that must be.
func checkHeaders(headers http.Header, q query, c claim) error {
	if !slices.Contains(c.headers, "host") {
		return refuse(InvalidSignature, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range headers {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		if !slices.Contains(c.headers, lower) {
			return refuse(InvalidSignature, "'%s' must be a 'SignedHeader' in the AWS Authorization.", registry.Clip(lower))
		}
		if c.presigned && slices.ContainsFunc(q, func(p parameter) bool { return strings.EqualFold(p.name, name) }) {
			return refuse(InvalidSignature, "'%s' is a header and a query-string parameter, which could be read in two ways.", registry.Clip(lower))
		}
	}
	return nil
}

// header returns the value of a signed header. One that comes twice is signed as if
// its values stood in one, and a handler may look at the first alone.
func (v *Verifier[P]) header(r *http.Request, name string) (string, error) {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{v.host(r)}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	switch {
	case len(values) == 0:
		return "", refuse(InvalidSignature, "'%s' is a 'SignedHeader' in the AWS Authorization, and the request has no such header.", registry.Clip(name))
	case len(values) > 1:
		return "", refuse(InvalidSignature, "The header '%s' is there more than once, which could be read in two ways.", registry.Clip(name))
	}
	for i := range len(values[0]) {
		if c := values[0][i]; c < ' ' || c == 0x7f {
			return "", refuse(InvalidSignature, "The header '%s' has a control character.", registry.Clip(name))
		}
	}
	return values[0], nil
}

// appendFolded appends a value without the blanks around it, and with one where there
// are several inside.
func appendFolded(b []byte, value string) []byte {
	start := len(b)
	for i := range len(value) {
		if value[i] == ' ' && (len(b) == start || b[len(b)-1] == ' ') {
			continue
		}
		b = append(b, value[i])
	}
	if len(b) > start && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// payload is the last line of a canonical request: the hash of the body.
//
// A client may leave its body out of the signature by saying so. That is for bodies
// that are too large to be read twice, which ours never are, and what is asked for
// stands in them. So it is taken only if TLS has kept others from the body, of a
// presigned request too: who is handed one was given that choice by the signer, who
// listens on the way was not.
func (v *Verifier[P]) payload(r *http.Request, q query, c claim, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	actual := hex.EncodeToString(sum[:])
	said := r.Header.Get(contentHeader) // is signed, as all of these
	if p, ok := q.get(contentHeader); ok && c.presigned {
		said = p
	}
	switch {
	case said == "" || said == actual:
		return actual, nil
	case said == unsignedPayload && v.secure(r):
		return said, nil
	case said == unsignedPayload:
		return "", refuse(InvalidSignature, "x-amz-content-sha256 %s is taken only over TLS; sign the hash of the body.", unsignedPayload)
	case strings.HasPrefix(said, streaming):
		return "", refuse(InvalidSignature, "x-amz-content-sha256 %q is not supported: signatures of chunks are not read here; sign the hash of the whole body.", registry.Clip(said))
	}
	return "", refuse(InvalidSignature, "The provided 'x-amz-content-sha256' header does not match what was computed.")
}
