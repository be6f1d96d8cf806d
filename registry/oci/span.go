package oci

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"berth/registry"
)

// wanted is the part of a blob that a request is after, as far as its Range header
// tells without the blob's size: where it does not, or asks for several parts, that is
// all of it. It decides nothing but what is fetched first; [http.ServeContent] sees to
// the rest. https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
func wanted(r *http.Request) registry.Span {
	list, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(list), "-")
	if !ok || !dash || r.Header.Get("If-Range") != "" {
		return registry.Span{}
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return registry.Span{}
	}
	to, err := strconv.ParseInt(last, 10, 64)
	if err != nil || to < from || to == math.MaxInt64 {
		return registry.Span{Offset: from}
	}
	return registry.Span{Offset: from, Length: to - from + 1}
}
