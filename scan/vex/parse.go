package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"berth/scan"
)

// ErrNoVEX says that something is no VEX document and does not claim to be one: a signature, a
// bill of materials, another attestation.
var ErrNoVEX = errors.New("this is no VEX document")

// Limits on documents. What is beyond them is refused as a whole: half a document could say
// the opposite.
const (
	maxStatements = 20_000
	maxNames      = 200_000 // of vulnerabilities, products and subcomponents together
	maxValues     = 500_000 // of JSON, of which two bytes may take hundreds in memory
	maxText       = 2_000   // bytes of what is kept of a text
)

// Parse reads a document about an image, whatever it is wrapped in. In the document it returns
// Format, ID, Author, IssuedAt and Statements are set; with an error as far as they are known.
// covers reports whether a digest, without its algorithm, is that of the image. Errors: ErrNoVEX.
func Parse(b []byte, covers func(algorithm, hex string) bool) (scan.VEXDocument, error) {
	if len(b) > scan.MaxVEX {
		return scan.VEXDocument{}, fmt.Errorf("the document has %d bytes; at most %d are read", len(b), scan.MaxVEX)
	}
	return parse(b, covers, maxWrapped)
}

// maxWrapped is how deep documents may be wrapped: a bundle, an envelope, a statement.
const maxWrapped = 3

// marks are the members by which the forms of documents are told apart.
type marks struct {
	Context   json.RawMessage `json:"@context"`
	BOMFormat string          `json:"bomFormat"`

	Bundled     json.RawMessage `json:"dsseEnvelope"` // of a bundle
	PayloadType string          `json:"payloadType"`  // of an envelope
	Type        string          `json:"_type"`        // of a statement
}

func parse(b []byte, covers func(algorithm, hex string) bool, wrapped int) (scan.VEXDocument, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return scan.VEXDocument{}, ErrNoVEX
	}
	if values(b) > maxValues {
		return scan.VEXDocument{}, fmt.Errorf("the document has more than %d members and elements", maxValues)
	}
	var m marks
	if err := json.Unmarshal(b, &m); err != nil {
		return scan.VEXDocument{}, fmt.Errorf("the document is not what it should be in JSON: %w", err)
	}
	switch {
	case m.BOMFormat == "CycloneDX":
		return parseCycloneDX(b)
	case isOpenVEX(m.Context):
		return parseOpenVEX(b, false)
	case wrapped == 0:
	case len(m.Bundled) > 0:
		return parse(m.Bundled, covers, wrapped-1)
	case m.PayloadType != "":
		return parseEnvelope(b, covers, wrapped-1)
	case m.Type != "":
		return parseAttestation(b, covers)
	}
	return scan.VEXDocument{}, ErrNoVEX
}

// values is how many objects, lists, and members and elements after the first JSON has about.
// It is never less unless that is no JSON.
func values(b []byte) (n int) {
	text, escaped := false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == ',' || c == '{' || c == '[':
			n++
		}
	}
	return n
}

// clean is text as it is kept: of bounded length, and without what could do something to a
// terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// join joins those texts that are not empty.
func join(separator string, texts ...string) string {
	var list []string
	for _, t := range texts {
		if t = clean(t); t != "" {
			list = append(list, t)
		}
	}
	return strings.Join(list, separator)
}

// moment reads a time; what is none is the zero time, which any other one comes after.
func moment(texts ...string) time.Time {
	for _, s := range texts {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// budget counts the names in a document.
type budget int

// add adds names to a list, unless they are too long to name anything. Those count too, and so
// does what has no name: it takes its time as well.
func (n *budget) add(list *[]string, names ...string) error {
	const longest = 4096
	counted := 0
	for _, s := range names {
		if s != "" {
			counted++
		}
	}
	if *n += budget(max(counted, 1)); *n > maxNames {
		return fmt.Errorf("the document names more than %d vulnerabilities and products", maxNames)
	}
	for _, s := range names {
		if s != "" && len(s) <= longest {
			*list = append(*list, clean(s))
		}
	}
	return nil
}

func tooMany(statements int) error {
	if statements > maxStatements {
		return fmt.Errorf("the document has %d statements; at most %d are read", statements, maxStatements)
	}
	return nil
}
