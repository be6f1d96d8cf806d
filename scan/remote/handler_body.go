package remote

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"berth/scan"
)

// Limits on bodies, in bytes, compressed and not. A result has an inventory and findings,
// and some words around them.
const (
	maxRequest = 1 << 20
	maxResult  = scan.MaxInventory + scan.MaxFindings + 1<<20
)

// readBody reads a body of at most limit bytes, which may be compressed with gzip.
// Errors: statusError.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, invalid("the body is not compressed with gzip as it says")
		}
		body = unzipped
	default:
		return nil, statusError{http.StatusUnsupportedMediaType, "bodies may be compressed with gzip and with nothing else"}
	}
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) || int64(len(content)) > limit {
		return nil, statusError{http.StatusRequestEntityTooLarge, "the body is larger than is allowed"}
	}
	if err != nil {
		return nil, statusError{http.StatusBadRequest, "the body could not be read: " + err.Error()}
	}
	return content, nil
}

// readJSON reads a body of at most limit bytes into v. Members that v has not are left aside:
// a newer worker may have more to say. Errors: statusError.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	content, err := readBody(w, r, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return invalid("the body is not the JSON that it should be: " + err.Error())
	}
	return nil
}
