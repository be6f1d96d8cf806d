package oidc

import (
	"fmt"
	"net/http"
)

// Code is what is wrong, by the name and the status that clients of STS know.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
type Code struct {
	Name   string
	Status int
}

// The codes.
var (
	Invalid     = Code{"InvalidIdentityToken", http.StatusBadRequest}
	Expired     = Code{"ExpiredTokenException", http.StatusBadRequest}
	Rejected    = Code{"IDPRejectedClaim", http.StatusForbidden}
	Unreachable = Code{"IDPCommunicationError", http.StatusBadRequest}
)

// Error is why a token is not taken.
type Error struct {
	Code    Code
	Message string // for the client

	cause error // for the log alone: it may have addresses of the network behind us
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap is what the network or the identity provider said.
func (e *Error) Unwrap() error { return e.cause }

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
