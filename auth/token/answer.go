package token

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"berth/auth"
	"berth/registry"
)

// answer is what the endpoint says. GET and POST have names of their own for the
// same things; both are given to both.
type answer struct {
	Token        string    `json:"token"`
	AccessToken  string    `json:"access_token"`
	Scope        string    `json:"scope"`
	ExpiresIn    int       `json:"expires_in"` // seconds
	IssuedAt     time.Time `json:"issued_at"`
	RefreshToken string    `json:"refresh_token,omitempty"`

	// Who has exchanged another token for this is told what it is.
	TokenType       string `json:"token_type,omitempty"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

// statuses are those of the errors the endpoint has; anything else is a bad request
// of the client if it is a registry.Error, and our fault if not.
var statuses = map[registry.Code]int{
	registry.CodeUnauthorized:    http.StatusUnauthorized,
	registry.CodeDenied:          http.StatusForbidden,
	registry.CodeTooManyRequests: http.StatusTooManyRequests,
	registry.CodeUnavailable:     http.StatusServiceUnavailable,
}

type errorEntry struct {
	Code    registry.Code `json:"code"`
	Message string        `json:"message"`
	Detail  any           `json:"detail,omitempty"`
}

// writeError answers with err in the form of the distribution specification.
func (i *Issuer) writeError(w http.ResponseWriter, r *http.Request, err error) {
	told, ok := errors.AsType[*registry.Error](err)
	status := http.StatusInternalServerError
	if ok {
		status = cmp.Or(statuses[told.Code], http.StatusBadRequest)
	} else {
		told = registry.ErrUnavailable.With("the registry cannot answer because of a fault of its own; its log says more")
		if r.Context().Err() == nil {
			i.options.Log.ErrorContext(r.Context(), "no token could be given out", "error", err)
		}
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", auth.Challenge{Service: i.options.Service}.Header(nil))
	}
	auth.RetryAfter(w.Header(), err)
	_ = writeJSON(w, status, struct {
		Errors []errorEntry `json:"errors"`
	}{[]errorEntry{{told.Code, told.Message, told.Detail}}}) // a client that went away misses it
}
