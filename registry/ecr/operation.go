package ecr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"berth/auth"
)

// input is what an operation is given.
type input interface {
	validate(*check)
}

// operation is one of the API.
type operation struct {
	action  auth.Action
	changes bool // something, for the audit log
	newer   bool // it tells of bad input with ValidationException alone
	asks    bool // itself whether it is allowed, since it is about several repositories
	parts   bool // its input holds parts of layers
	decode  func([]byte) (input, error)
	call    func(c *call, ctx context.Context, in input) (any, error)
}

// read is an operation that changes nothing.
func read[In any, P interface {
	*In
	input
}, Out any](action auth.Action, do func(*call, context.Context, P) (Out, error)) operation {
	return operation{
		action: action,
		decode: func(body []byte) (input, error) {
			var in In
			if err := decode(body, &in); err != nil {
				return nil, err
			}
			return P(&in), nil
		},
		call: func(c *call, ctx context.Context, in input) (any, error) { return do(c, ctx, in.(P)) },
	}
}

// change is an operation that the audit log tells of.
func change[In any, P interface {
	*In
	input
}, Out any](action auth.Action, do func(*call, context.Context, P) (Out, error)) operation {
	op := read(action, do)
	op.changes = true
	return op
}

func (op operation) largest() int64 {
	if op.parts {
		return maxPartBody
	}
	return maxBody
}

func (op operation) invalid() string {
	if op.newer {
		return "ValidationException"
	}
	return "InvalidParameterException"
}

// decode reads a body. One that is empty is an object without members.
func decode(body []byte, in any) error {
	if len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, in)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return failure(http.StatusBadRequest, "SerializationException", "the member %q cannot be a JSON %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return failure(http.StatusBadRequest, "SerializationException", "the body is not JSON: %v", err)
	}
	if bytes.TrimSpace(body)[0] != '{' { // null
		return failure(http.StatusBadRequest, "SerializationException", "the body is not a JSON object")
	}
	if hasNUL(body) {
		return failure(http.StatusBadRequest, "SerializationException", `the body has the character \u0000, which no text may have`)
	}
	return nil
}

// hasNUL reports whether a string of a JSON text has the character that databases do not take.
func hasNUL(text []byte) bool {
	for {
		before, after, found := bytes.Cut(text, []byte(`\u0000`))
		if !found {
			return false
		}
		// After an odd number of backslashes this one is only the end of an escaped one.
		if (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 0 {
			return true
		}
		text = after
	}
}
