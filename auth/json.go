package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// decodeObject reads an object member by member. Unlike json.Unmarshal it takes
// names by their exact case and refuses one that comes twice: of two Effects a
// reader may believe the first and a machine the second.
func decodeObject(b []byte) (map[string]json.RawMessage, error) {
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
			return nil, fmt.Errorf("has the member %q twice", clip(name))
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

// decodeString reads a member that must be a string.
func decodeString(members map[string]json.RawMessage, name string) (string, error) {
	b := members[name]
	if b == nil {
		return "", fmt.Errorf("the %s is missing", name)
	}
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return "", fmt.Errorf("the %s must be a string", name)
	}
	return *s, nil
}

// decodeStrings reads a string or a list of at least one.
func decodeStrings(b json.RawMessage) ([]string, error) {
	if b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		return []string{s}, err
	}
	var list []*string
	if err := json.Unmarshal(b, &list); err != nil || len(list) == 0 {
		return nil, errors.New("must be a string or a list of strings that is not empty")
	}
	values := make([]string, 0, len(list))
	for _, s := range list {
		if s == nil {
			return nil, errors.New("must be a string or a list of strings, without null")
		}
		values = append(values, *s)
	}
	return values, nil
}
