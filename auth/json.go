package auth

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxDepth bounds how deep the JSON of a policy is nested. None needs more than six.
const maxDepth = 16

// checkDepth looks at a document before anything is made of it.
func checkDepth(document string) error {
	depth, quoted := 0, false
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("the document is nested more than %d deep", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
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

// decodeScalars reads a value of a condition: a string, a number or a truth value, or a
// list of at least one.
func decodeScalars(b json.RawMessage) ([]string, error) {
	list := []json.RawMessage{b}
	if b[0] == '[' {
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, errors.New("is an empty list, which nothing can match")
	}
	values := make([]string, 0, len(list))
	for _, b := range list {
		switch b[0] {
		case '"':
			var s string
			if err := json.Unmarshal(b, &s); err != nil {
				return nil, err
			}
			values = append(values, s)
		case '{', '[', 'n':
			return nil, errors.New("must be a string, a number, true or false, or a list of them")
		default:
			values = append(values, string(b))
		}
	}
	return values, nil
}
