package auth

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/registry"
)

// parseConditions reads the member Condition: operators, in each of them keys, and of
// each key the values to compare with.
func (d dialect) parseConditions(b json.RawMessage) ([]condition, error) {
	byOperator, err := registry.Members(b)
	if err != nil {
		return nil, fmt.Errorf("the Condition %w", err)
	}
	var conditions []condition
	for _, name := range slices.Sorted(maps.Keys(byOperator)) {
		op, err := parseOperator(name)
		if err != nil {
			return nil, err
		}
		keys, err := registry.Members(byOperator[name])
		if err != nil {
			return nil, fmt.Errorf("the condition %s %w", name, err)
		}
		seen := map[string]bool{}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if lower := strings.ToLower(key); seen[lower] {
				return nil, fmt.Errorf("the condition %s has the key %q twice: its case does not matter", name, registry.Clip(key))
			} else {
				seen[lower] = true
			}
			c, err := d.parseCondition(op, key, keys[key])
			if err != nil {
				return nil, fmt.Errorf("the condition %s: %w", name, err)
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

func (d dialect) parseCondition(op operator, name string, b json.RawMessage) (condition, error) {
	key, err := parseContextKey(name)
	if err != nil {
		return condition{}, err
	}
	if key.many() && op.over == single && op.compare != compareNull {
		return condition{}, fmt.Errorf("%s may have many values: put ForAllValues: or ForAnyValue: before the operator", name)
	}
	values, err := decodeScalars(b)
	if err != nil {
		return condition{}, fmt.Errorf("the value of %s %w", registry.Clip(name), err)
	}
	c := condition{operator: op, key: key}
	for _, v := range values {
		if err := d.addValue(&c, v); err != nil {
			return condition{}, fmt.Errorf("%s: %w", registry.Clip(name), err)
		}
	}
	return c, nil
}

// addValue adds a value that the condition compares with.
func (d dialect) addValue(c *condition, v string) error {
	switch c.compare {
	case compareAddress:
		p, ok := parseAddresses(v)
		if !ok {
			return fmt.Errorf("%q is neither an address nor a range of them such as 203.0.113.0/24", registry.Clip(v))
		}
		c.addresses = append(c.addresses, p)
	case compareTime:
		t, ok := parseTime(v)
		if !ok {
			return fmt.Errorf("%q is no time; one looks like 2006-01-02T15:04:05Z", registry.Clip(v))
		}
		c.times = append(c.times, t)
	case compareNumber:
		n, ok := parseNumber(v)
		if !ok {
			return fmt.Errorf("%q is no number", registry.Clip(v))
		}
		c.numbers = append(c.numbers, n)
	case compareNull:
		switch strings.ToLower(v) {
		case "true":
			c.null[1] = true
		case "false":
			c.null[0] = true
		default:
			return noBool(v)
		}
	case compareARN:
		a, err := d.compileARN(v)
		if err != nil {
			return err
		}
		c.arns = append(c.arns, a)
	default:
		p, err := d.compile(v, c.compare == compareLike)
		if err != nil {
			return err
		}
		if c.compare == compareBool && len(p.variables) == 0 && !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return noBool(v)
		}
		c.texts = append(c.texts, p)
	}
	return nil
}

func noBool(v string) error { return fmt.Errorf(`%q should be "true" or "false"`, registry.Clip(v)) }

// compileARN reads the pattern of an ARN. A star by itself is any ARN.
func (d dialect) compileARN(s string) (a arnPattern, err error) {
	parts := []string{"*", "*", "*", "*", "*", "*"}
	if s != "*" {
		if parts = d.splitARN(s); len(parts) != len(a) || parts[0] != "arn" {
			return a, fmt.Errorf("%q is no ARN: it should have six parts, arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE", registry.Clip(s))
		}
	}
	for i, part := range parts {
		if a[i], err = d.compile(part, true); err != nil {
			return a, err
		}
	}
	return a, nil
}

// splitARN splits at the first five colons that are not in a variable.
func (d dialect) splitARN(s string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s) && len(parts) < 5; i++ {
		switch {
		case d.variables && strings.HasPrefix(s[i:], "${"):
			if _, after, err := cutVariable(s[i+2:]); err == nil {
				i = len(s) - len(after) - 1
			}
		case s[i] == ':':
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
