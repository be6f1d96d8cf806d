package ecr

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// pageInput is the part of an input that asks for a page of a list.
type pageInput struct {
	MaxResults *int64 `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}

// maxPage and defaultPage are those of most lists.
const (
	maxPage     = 1000
	defaultPage = 100
)

// validate bounds a page. explicit names the list of an input that asks for certain entries,
// which are answered all at once; empty if there is none.
func (p *pageInput) validate(k *check, most int64, explicit string) {
	if p.MaxResults != nil {
		k.value("maxResults", *p.MaxResults, 1, most)
	}
	if explicit == "" {
		return
	}
	if p.MaxResults != nil {
		k.fail("maxResults", "Member cannot be combined with %s", explicit)
	}
	if p.NextToken != "" {
		k.fail("nextToken", "Member cannot be combined with %s", explicit)
	}
}

func (p *pageInput) limit(byDefault int) int {
	if p.MaxResults == nil {
		return byDefault
	}
	return int(*p.MaxResults)
}

// resume reads where a list goes on: the keys of the last entry. A token is good for the
// operation and the question that it was made for.
func (c *call) resume(p *pageInput, question string, keys ...*string) error {
	if p.NextToken == "" {
		return nil
	}
	var text []string
	b, err := base64.RawURLEncoding.DecodeString(p.NextToken)
	if err == nil {
		err = json.Unmarshal(b, &text)
	}
	if err != nil || len(text) != len(keys)+1 || text[0] != c.purpose(question) || hasNUL(b) {
		return invalid("nextToken", "the token is not one that this list has given; begin without one")
	}
	for i, key := range keys {
		*key = text[i+1]
	}
	return nil
}

// next is the token of what follows the entry with keys.
func (c *call) next(question string, keys ...string) string {
	b, err := json.Marshal(append([]string{c.purpose(question)}, keys...))
	if err != nil {
		return "" // strings always encode
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (c *call) purpose(question string) string {
	sum := sha256.Sum256([]byte(c.operation + "\n" + question))
	return hex.EncodeToString(sum[:8])
}

// question is what has to stay the same from page to page.
func question(parts ...string) string { return strings.Join(parts, "\n") }
