package sigv4

import (
	"net/url"
	"slices"
	"strings"
)

// query is the parameters of a request, each once, in the order in which they are
// signed.
type query []parameter

type parameter struct {
	name, value string
	escaped     string // the name
}

// parseQuery reads a query as net/url does, so that what is signed is what will be
// acted on: + is a blank. What net/url passes over in silence, and names that come
// twice, of which one hand may take the first and another the last, are refused.
func parseQuery(raw string) (query, error) {
	if raw == "" {
		return nil, nil
	}
	q := make(query, 0, strings.Count(raw, "&")+1)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, errName := url.QueryUnescape(name)
		v, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil || strings.Contains(pair, ";") {
			return nil, refuse(InvalidSignature, "The query string cannot be read: it has a ';' or an invalid %% escape.")
		}
		q = append(q, parameter{n, v, escape(n)})
	}
	slices.SortFunc(q, func(a, b parameter) int { return strings.Compare(a.escaped, b.escaped) })
	for i := 1; i < len(q); i++ {
		if q[i].name == q[i-1].name {
			return nil, refuse(InvalidSignature, "The query string has a parameter more than once, which could be read in two ways.")
		}
	}
	return q, nil
}

// get returns a parameter, whose name has nothing to escape.
func (q query) get(name string) (string, bool) {
	i, found := slices.BinarySearchFunc(q, name, func(p parameter, name string) int { return strings.Compare(p.escaped, name) })
	if !found {
		return "", false
	}
	return q[i].value, true
}

// appendTo appends the query as it is signed. That of a presigned request has the
// signature itself.
func (q query) appendTo(b []byte, presigned bool) []byte {
	start := len(b)
	for _, p := range q {
		if presigned && p.name == signatureParameter {
			continue
		}
		if len(b) > start {
			b = append(b, '&')
		}
		b = append(b, p.escaped...)
		b = append(b, '=')
		b = append(b, escape(p.value)...)
	}
	return b
}

// escape is the URI encoding of AWS: all but the unreserved characters of RFC 3986.
func escape(s string) string {
	// It is that of net/url but for the blank.
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
