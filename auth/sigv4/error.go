package sigv4

import (
	"fmt"
	"net/http"
)

// Code is what is wrong with a request, by the name and the status that clients of
// either protocol know: JSON, which ECR speaks, and Query, which STS speaks.
type Code struct {
	JSON        string
	JSONStatus  int
	Query       string
	QueryStatus int
}

// The codes. Documentation has 403 for most of them in both protocols; ECR has been
// seen to answer 400, and SDKs go by the name.
var (
	MissingAuthenticationToken = Code{"MissingAuthenticationTokenException", http.StatusBadRequest, "MissingAuthenticationToken", http.StatusForbidden}
	IncompleteSignature        = Code{"IncompleteSignature", http.StatusBadRequest, "IncompleteSignature", http.StatusBadRequest}
	InvalidSignature           = Code{"InvalidSignatureException", http.StatusBadRequest, "SignatureDoesNotMatch", http.StatusForbidden}
	UnrecognizedClient         = Code{"UnrecognizedClientException", http.StatusBadRequest, "InvalidClientTokenId", http.StatusForbidden}
	ExpiredToken               = Code{"ExpiredTokenException", http.StatusBadRequest, "ExpiredToken", http.StatusForbidden}
	RequestExpired             = Code{"RequestExpired", http.StatusBadRequest, "RequestExpired", http.StatusBadRequest}
)

// Error is why a request is not taken for that of its access key.
type Error struct {
	Code    Code
	Message string // for the client
}

func (e *Error) Error() string { return e.Code.JSON + ": " + e.Message }

// What a source of keys answers, always in these words: who tries keys should not
// learn which of them are there.
var (
	// ErrKeyUnknown is for a key that is not there, is disabled or lacks its account, and
	// for a session token that is none or not that of the key.
	ErrKeyUnknown = &Error{UnrecognizedClient, "The security token included in the request is invalid."}

	// ErrTokenExpired is for temporary credentials after their time.
	ErrTokenExpired = &Error{ExpiredToken, "The security token included in the request is expired"}
)

var (
	errMissing  = &Error{MissingAuthenticationToken, "Request is missing Authentication Token"}
	errMismatch = &Error{InvalidSignature, "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
)

func refuse(code Code, format string, args ...any) error {
	return &Error{code, fmt.Sprintf(format, args...)}
}
