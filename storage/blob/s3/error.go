package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
)

var (
	errEnded         = errors.New("blob/s3: the writer has ended")
	errState         = errors.New("blob/s3: this is not the state of a suspended object")
	errTooLarge      = fmt.Errorf("%w: it has more than 10,000 parts", blob.ErrTooLarge)
	errNotForReading = errors.New("blob/s3: the body is read by the transport")
	errCutOff        = errors.New("blob/s3: the request is over")
	errNoETag        = errors.New("blob/s3: the answer has no ETag")
	errClosed        = errors.New("blob/s3: the reader is closed")
	errStalled       = errors.New("blob/s3: the body stands still")
)

// errTooLong ends what has begun and does not heed its caller any more.
var errTooLong = fmt.Errorf("%w: it takes too long", blob.ErrUnavailable)

// What S3 calls what we have a word for. All servers agree on most codes; where they
// do not, each has its own line.
var words = map[string]error{
	"NoSuchKey":    blob.ErrNotExist,
	"NoSuchUpload": blob.ErrLost,
	"InvalidPart":  blob.ErrLost,

	"QuotaExceeded":                  blob.ErrFull,
	"XMinioStorageFull":              blob.ErrFull,
	"XMinioAdminBucketQuotaExceeded": blob.ErrFull,
	"InsufficientCapacity":           blob.ErrFull,

	// Retried and still so: a later call may have more luck.
	"RequestTimeout":              blob.ErrUnavailable,
	"Throttling":                  blob.ErrUnavailable,
	"ThrottlingException":         blob.ErrUnavailable,
	"SlowDown":                    blob.ErrUnavailable,
	"InternalError":               blob.ErrUnavailable,
	"ServiceUnavailable":          blob.ErrUnavailable,
	"OperationAborted":            blob.ErrUnavailable,
	"ConditionalRequestConflict":  blob.ErrUnavailable,
	"IncompleteBody":              blob.ErrUnavailable,
	"BadDigest":                   blob.ErrUnavailable,
	"XAmzContentChecksumMismatch": blob.ErrUnavailable,

	// These the operator has to mend, and then the same call works.
	"NoSuchBucket":                 blob.ErrUnavailable,
	"InvalidBucketName":            blob.ErrUnavailable,
	"PermanentRedirect":            blob.ErrUnavailable,
	"AuthorizationHeaderMalformed": blob.ErrUnavailable,
	"InvalidRegion":                blob.ErrUnavailable,
	"ExpiredToken":                 blob.ErrUnavailable,
	"ExpiredTokenException":        blob.ErrUnavailable,
	"XAdminUserNotFound":           blob.ErrUnavailable, // of versitygw, with status 404
	"InvalidToken":                 blob.ErrUnavailable,
}

// fault is err with what was being done, and with what it means to our callers: one
// of the errors of package blob where there is one. A request that got no answer at
// all is ErrUnavailable. If ctx is done, that is what happened.
func fault(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if done := ctx.Err(); done != nil {
		if context.Cause(ctx) == errTooLong {
			done = errTooLong
		}
		return fmt.Errorf("blob/s3: %s: %w", doing, done)
	}
	if word := meaning(err); word != nil {
		return fmt.Errorf("%w: %s: %w", word, doing, describe(err))
	}
	return fmt.Errorf("blob/s3: %s: %w", doing, describe(err))
}

// meaning is the error of package blob for one of minio-go, or nil.
func meaning(err error) error {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return blob.ErrUnavailable
	}
	if word := words[answer.Code]; word != nil {
		return word
	}
	switch code := answer.StatusCode; {
	case code == http.StatusInsufficientStorage:
		return blob.ErrFull
	case code == http.StatusNotImplemented:
		return nil
	case code >= 500,
		code == http.StatusTooManyRequests,
		code == http.StatusRequestTimeout,
		code == http.StatusUnauthorized,
		code == http.StatusForbidden,
		300 <= code && code < 400: // another region or endpoint
		return blob.ErrUnavailable
	}
	return nil
}

// lost is err of a request about an upload, of which some servers say that there is no
// such key.
func lost(err error) error {
	if errors.Is(err, blob.ErrNotExist) {
		return fmt.Errorf("%w: %v", blob.ErrLost, err)
	}
	return err
}

// answered reports whether S3 has refused the request, rather than left open what
// became of it.
func answered(err error) bool {
	word := meaning(err)
	return word == nil || word == blob.ErrLost || word == blob.ErrFull || is(err, http.StatusForbidden, "NoSuchBucket")
}

// is reports whether S3 answered with the status or the code, as far as they are given.
func is(err error, status int, code string) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (status != 0 && answer.StatusCode == status || code != "" && answer.Code == code)
}

// describe adds to an error the code of S3 and the number under which its operator
// finds the request.
func describe(err error) error {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err
	}
	return fmt.Errorf("%s (status %d, request %q): %w", answer.Code, answer.StatusCode, answer.RequestID, err)
}
