package auth

import (
	"encoding/json"
	"errors"
	"fmt"
)

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
