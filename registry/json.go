package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxMembers bounds the members of one JSON object, of which each takes a hundred
// bytes at least.
const maxMembers = 10_000

// Members reads a JSON object member by member. Unlike json.Unmarshal it takes names
// by their exact case, and refuses one that comes twice, or that differs from one of
// known in case alone: where two readers may see two things, neither is meant. Its
// errors go on after the name of what was read.
func Members(b []byte, known ...string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	t, err := dec.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	if t != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		name, _ := t.(string)
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("has the member %q twice", Clip(name))
		}
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return nil, fmt.Errorf("has the member %q; it should be %q", Clip(name), k)
			}
		}
		if len(members) == maxMembers {
			return nil, fmt.Errorf("has more than %d members", maxMembers)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, notJSON(err)
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("goes on after its end")
	}
	return members, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is not JSON: it ends too early")
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// Clip keeps a stranger's string short enough to be quoted in a message.
func Clip(s string) string {
	const limit = 160
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
