package sts

import (
	"errors"
	"fmt"
	"net/http"

	"berth/auth"
	"berth/auth/oidc"
	"berth/auth/sigv4"
	"berth/registry"
)

// Error is what a client is told.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func failure(status int, code, format string, args ...any) *Error {
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Error {
	return failure(http.StatusBadRequest, "ValidationError", format, args...)
}

func denied(format string, args ...any) *Error {
	return failure(http.StatusForbidden, "AccessDenied", format, args...)
}

// toError is what a client is told of an error. Whatever is not known here is a fault of
// ours.
func toError(w http.ResponseWriter, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return &Error{e.Code.QueryStatus, e.Code.Query, e.Message}
	}
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		return &Error{e.Code.Status, e.Code.Name, e.Message}
	}
	switch {
	case errors.Is(err, auth.ErrRoleRefused):
		// Always in these words: who asks does not learn whether there is such a role.
		return denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	case errors.Is(err, registry.ErrUnavailable):
		w.Header().Set("Retry-After", "1")
		return failure(http.StatusServiceUnavailable, "ServiceUnavailable", "the registry cannot answer for the time being")
	}
	return failure(http.StatusInternalServerError, "InternalFailure",
		"the registry has failed; its log has the reason under request id %s", w.Header().Get("X-Request-Id"))
}
