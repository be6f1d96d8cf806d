package ecr

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"berth/auth"
	"berth/registry"
)

// Error is an exception of the API.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
type Error struct {
	Status  int
	Type    string // such as RepositoryNotFoundException
	Message string

	members map[string]any // that some exceptions have besides
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// errReadOnly is what changes are told while the registry is read-only.
var errReadOnly = registry.ErrUnavailable.With("the registry is read-only for the time being; try again later")

func failure(status int, typ, format string, args ...any) *Error {
	return &Error{Status: status, Type: typ, Message: fmt.Sprintf(format, args...)}
}

// refusal is an exception that an operation documents.
func refusal(typ, format string, args ...any) *Error {
	return failure(http.StatusBadRequest, typ+"Exception", format, args...)
}

// invalid is about a member of the input.
func invalid(member, reason string) *Error {
	return refusal("InvalidParameter", "Invalid parameter at '%s' failed to satisfy constraint: '%s'", member, reason)
}

func repositoryNotFound(repo registry.Name, account string) *Error {
	return refusal("RepositoryNotFound", "The repository with name '%s' does not exist in the registry with id '%s'", repo, account)
}

// exception is what a client is told of an error that is not of this package.
func (c *call) exception(err error, repo registry.Name) error {
	switch {
	case errors.Is(err, registry.ErrNameUnknown):
		return repositoryNotFound(repo, c.account())
	case errors.Is(err, registry.ErrNotEmpty):
		return refusal("RepositoryNotEmpty", "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", repo, c.account())
	case errors.Is(err, registry.ErrUploadUnknown):
		return refusal("UploadNotFound", "The upload does not exist, or has ended, in the repository with name '%s' in the registry with id '%s'", repo, c.account())
	case errors.Is(err, registry.ErrQuotaExceeded):
		return refusal("LimitExceeded", "%s", message(err))
	case errors.Is(err, registry.ErrRangeInvalid): // another request is at the same upload
		return registry.ErrUnavailable.With("%s", message(err))
	}
	return err
}

// writeError answers with an error. Whatever is not known here is a fault of ours.
func writeError(w http.ResponseWriter, err error) {
	e := toError(w, err)
	body := map[string]any{"__type": e.Type, "message": e.Message}
	maps.Copy(body, e.members)
	b, err := json.Marshal(body)
	if err != nil {
		b = []byte(`{"__type":"ServerException"}`)
	}
	w.Header().Set("X-Amzn-Errortype", e.Type)
	write(w, e.Status, b)
}

func toError(w http.ResponseWriter, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if refused, ok := errors.AsType[*auth.RefusedError](err); ok {
		if said := refused.IAM(); said != "" {
			return failure(http.StatusBadRequest, "AccessDeniedException", "%s", said)
		}
		return failure(http.StatusBadRequest, "UnrecognizedClientException", "%s", message(refused))
	}
	switch {
	case errors.Is(err, registry.ErrTooManyRequests):
		auth.RetryAfter(w.Header(), err)
		return failure(http.StatusBadRequest, "ThrottlingException", "Rate exceeded")
	case errors.Is(err, registry.ErrUnavailable):
		w.Header().Set("Retry-After", "1")
		return failure(http.StatusServiceUnavailable, "ServiceUnavailable", "%s", message(err))
	case errors.Is(err, registry.ErrStorageFull):
		return failure(http.StatusInternalServerError, "ServerException", "%s", message(err))
	}
	return failure(http.StatusInternalServerError, "ServerException",
		"the registry has failed; its log has the reason under request id %s", w.Header().Get("X-Request-Id"))
}

// message is what an error says to people.
func message(err error) string {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Message
	}
	return strings.TrimSpace(err.Error())
}
