package remote

import (
	"encoding/json"
	"errors"
	"net/http"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// statusError is an error with the status that it is answered with.
type statusError struct {
	status  int
	message string
}

func (e statusError) Error() string { return e.message }

// invalid is the error of something that a worker says which cannot be.
func invalid(message string) error { return statusError{http.StatusUnprocessableEntity, message} }

var errNoEndpoint error = statusError{http.StatusNotFound, "there is no such endpoint"}

// statuses are those of what the service answers. Whatever is not here is a fault of ours:
// 500, and the reason stays in the log.
var statuses = []struct {
	err    error
	status int
}{
	{queue.ErrLeaseLost, http.StatusConflict},
	{scan.ErrResultInvalid, http.StatusUnprocessableEntity},
	{scan.ErrNotScanned, http.StatusNotFound},
	{registry.ErrNotSet, http.StatusNotFound},
	{registry.ErrUnauthorized, http.StatusUnauthorized},
	{registry.ErrDenied, http.StatusForbidden},
	{registry.ErrUnavailable, http.StatusServiceUnavailable},
	{registry.ErrStorageFull, http.StatusInsufficientStorage},
	{registry.ErrTooManyRequests, http.StatusTooManyRequests},
}

// message is what a worker is told with an error.
type message struct {
	Message string `json:"message"`
}

func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "the registry cannot answer because of a fault of its own; its log says more"
	if known, ok := errors.AsType[statusError](err); ok {
		status, text = known.status, known.message
	} else {
		for _, s := range statuses {
			if errors.Is(err, s.err) {
				status, text = s.status, err.Error()
				break
			}
		}
	}
	switch status {
	case http.StatusInternalServerError:
		if r.Context().Err() == nil {
			h.opts.Logger.ErrorContext(r.Context(), "a scanner could not be answered", "path", r.URL.Path, "error", err)
		}
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="berth"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "2")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message{text}) // a worker that went away misses it
}
