package oci

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"berth/auth"
	"berth/registry"
)

// Two refusals of HTTP that a registry has no word for.
var (
	errNoEndpoint  = registry.ErrUnsupported.With("there is no such endpoint")
	errTooManyTags = registry.ErrUnsupported.With("at most %d tags can be pushed in one request", maxTags)
)

// statuses is the HTTP status of each error that a registry knows. Whatever is not
// here is a fault of ours: 500, and the reason stays in the log.
var statuses = []struct {
	err    error
	status int
}{
	{registry.ErrManifestUnknown, http.StatusNotFound},
	{registry.ErrBlobUnknown, http.StatusNotFound},
	{registry.ErrNameUnknown, http.StatusNotFound},
	{registry.ErrUnauthorized, http.StatusUnauthorized},
	{registry.ErrDenied, http.StatusForbidden},
	{registry.ErrQuotaExceeded, http.StatusForbidden},
	{registry.ErrNameInvalid, http.StatusBadRequest},
	{registry.ErrTagInvalid, http.StatusBadRequest},
	{registry.ErrTagFixed, http.StatusBadRequest},
	{registry.ErrDigestInvalid, http.StatusBadRequest},
	{registry.ErrSizeInvalid, http.StatusBadRequest},
	{registry.ErrPageInvalid, http.StatusBadRequest},
	{registry.ErrUploadUnknown, http.StatusNotFound},
	{registry.ErrUploadInvalid, http.StatusBadRequest},
	{registry.ErrRangeInvalid, http.StatusRequestedRangeNotSatisfiable},
	{registry.ErrManifestInvalid, http.StatusBadRequest},
	{registry.ErrManifestTooLarge, http.StatusRequestEntityTooLarge},
	{registry.ErrManifestBlobUnknown, http.StatusNotFound},
	{registry.ErrManifestReferenced, http.StatusMethodNotAllowed},
	{registry.ErrBlobReferenced, http.StatusMethodNotAllowed},
	{registry.ErrUnsupported, http.StatusMethodNotAllowed},
	{registry.ErrTooManyRequests, http.StatusTooManyRequests},
	{registry.ErrStorageFull, http.StatusInsufficientStorage},
	{registry.ErrUnavailable, http.StatusServiceUnavailable},
}

// statusClientGone is what nginx logs for a client that went away before there was an
// answer.
const statusClientGone = 499

func statusOf(err error) int {
	switch err {
	case errNoEndpoint:
		return http.StatusNotFound
	case errTooManyTags:
		return http.StatusRequestURITooLong
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// errorBody is what the specification prescribes.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
type errorBody struct {
	Errors []errorEntry `json:"errors"`
}

type errorEntry struct {
	Code    registry.Code `json:"code"`
	Message string        `json:"message"`
	Detail  any           `json:"detail,omitempty"`
}

// writeError answers with an error, unless the answer has begun already.
func (s *Server) writeError(w *response, r *http.Request, err error) {
	if w.status != 0 || w.sent > 0 {
		return
	}
	status := statusOf(err)
	entry := errorEntry{
		Code:    "UNKNOWN",
		Message: "the registry has failed; its log has the reason under request id " + w.Header().Get("X-Request-Id"),
	}
	var e *registry.Error
	if status == http.StatusInternalServerError && errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		status = statusClientGone
		entry.Message = "the client has gone away"
	} else if status != http.StatusInternalServerError && errors.As(err, &e) {
		entry = errorEntry{Code: e.Code, Message: e.Message, Detail: e.Detail}
	}
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", s.opts.Challenge(r, err))
	case http.StatusMethodNotAllowed:
		h.Set("Allow", s.allowed(r))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
		auth.RetryAfter(h, err)
	}
	b, err := json.Marshal(errorBody{[]errorEntry{entry}})
	if err != nil {
		b = []byte(`{"errors":[]}`)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}
