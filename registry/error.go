package registry

import "fmt"

// Code is an error code of the distribution specification, as clients see it.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
type Code string

// The codes of the specification; UNAVAILABLE, which it leaves to servers and only ever
// stands in a 5xx answer; and TAG_INVALID, which an earlier version had and Amazon ECR
// says of a tag that cannot be moved.
const (
	CodeBlobUnknown         Code = "BLOB_UNKNOWN"
	CodeBlobUploadInvalid   Code = "BLOB_UPLOAD_INVALID"
	CodeBlobUploadUnknown   Code = "BLOB_UPLOAD_UNKNOWN"
	CodeDigestInvalid       Code = "DIGEST_INVALID"
	CodeManifestBlobUnknown Code = "MANIFEST_BLOB_UNKNOWN"
	CodeManifestInvalid     Code = "MANIFEST_INVALID"
	CodeManifestUnknown     Code = "MANIFEST_UNKNOWN"
	CodeNameInvalid         Code = "NAME_INVALID"
	CodeNameUnknown         Code = "NAME_UNKNOWN"
	CodeSizeInvalid         Code = "SIZE_INVALID"
	CodeTagInvalid          Code = "TAG_INVALID"
	CodeUnauthorized        Code = "UNAUTHORIZED"
	CodeDenied              Code = "DENIED"
	CodeUnsupported         Code = "UNSUPPORTED"
	CodeTooManyRequests     Code = "TOOMANYREQUESTS"
	CodeUnavailable         Code = "UNAVAILABLE"
)

// What a caller can be told. Anything else is our fault and stays in the log.
var (
	ErrNameInvalid         = newError(CodeNameInvalid, "the repository name is not valid")
	ErrNameUnknown         = newError(CodeNameUnknown, "no such repository")
	ErrNotEmpty            = newError(CodeUnsupported, "the repository still holds images")
	ErrTagInvalid          = newError(CodeManifestInvalid, "the tag is not valid")
	ErrDigestInvalid       = newError(CodeDigestInvalid, "the digest does not match the content")
	ErrSizeInvalid         = newError(CodeSizeInvalid, "the announced length is not the length that arrived")
	ErrBlobUnknown         = newError(CodeBlobUnknown, "no such blob in this repository")
	ErrBlobReferenced      = newError(CodeUnsupported, "a manifest refers to the blob; delete the manifest first")
	ErrUploadUnknown       = newError(CodeBlobUploadUnknown, "no such upload: it is finished, cancelled, expired or was never started; start a new one")
	ErrUploadInvalid       = newError(CodeBlobUploadInvalid, "the upload request is not valid")
	ErrRangeInvalid        = newError(CodeBlobUploadInvalid, "the chunk does not continue the upload")
	ErrManifestUnknown     = newError(CodeManifestUnknown, "no such manifest in this repository")
	ErrManifestInvalid     = newError(CodeManifestInvalid, "the manifest is not valid")
	ErrManifestTooLarge    = newError(CodeManifestInvalid, "the manifest is larger than 4 MiB")
	ErrManifestBlobUnknown = newError(CodeManifestBlobUnknown, "the manifest refers to content that is not in this repository; push that first")
	ErrManifestReferenced  = newError(CodeUnsupported, "an index refers to the manifest; delete the index first")
	ErrTagFixed            = newError(CodeTagInvalid, "the tag is immutable and names another image")
	ErrUnauthorized        = newError(CodeUnauthorized, "authentication required")
	ErrDenied              = newError(CodeDenied, "access denied")
	ErrQuotaExceeded       = newError(CodeDenied, "the quota is used up; delete images and wait for garbage collection, or ask for more")
	ErrPageInvalid         = newError(CodeUnsupported, "the page asked for is not valid")
	ErrUnsupported         = newError(CodeUnsupported, "the operation is not supported")
	ErrTooManyRequests     = newError(CodeTooManyRequests, "too many requests; slow down")
	ErrUnavailable         = newError(CodeUnavailable, "the registry is busy; try again shortly")
	ErrStorageFull         = newError(CodeUnavailable, "the registry's storage is full; free space or ask its operator to, then resume the upload")
)

// What an [Admin] can be told besides. Clients of /v2/ never see these.
var (
	ErrNameTaken     = newError(CodeUnsupported, "the name is taken")
	ErrNotSet        = newError(CodeUnsupported, "there is no such setting")
	ErrImageExists   = newError(CodeUnsupported, "the image is there already, and nothing changes")
	ErrTagMismatch   = newError(CodeUnsupported, "the tag belongs to another image")
	ErrLimitExceeded = newError(CodeUnsupported, "there are as many as are allowed")

	ErrPreviewRunning = newError(CodeUnsupported, "a lifecycle policy is being tried out already")
)

// Error is something a caller can be told. Each belongs to one of the Err values
// above, which is what errors.Is compares.
type Error struct {
	Code    Code
	Message string // for a person: what is wrong and what to do
	Detail  any    // for a program: encoded as JSON; may be nil

	kind *Error // the value of the list this one belongs to
}

func newError(code Code, message string) *Error {
	e := &Error{Code: code, Message: message}
	e.kind = e
	return e
}

// With is the same error with a message that says more.
func (e *Error) With(format string, args ...any) *Error {
	return &Error{Code: e.Code, Message: fmt.Sprintf(format, args...), Detail: e.Detail, kind: e.kind}
}

// WithDetail is the same error with a detail for programs.
func (e *Error) WithDetail(detail any) *Error {
	return &Error{Code: e.Code, Message: e.Message, Detail: detail, kind: e.kind}
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Is reports whether e belongs to target, one of the Err values.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.kind == t.kind
}
