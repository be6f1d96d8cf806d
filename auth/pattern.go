package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/registry"
)

// maxVariables bounds the variables of one text.
const maxVariables = 8

// dialect is how the texts of a policy are read, which depends on its Version: only
// that of 2012 has variables.
type dialect struct {
	variables bool
}

// pattern is a text of a policy: a value to compare with, in which * and ? may stand
// for other characters, and ${…} for what a request has under a key.
type pattern struct {
	pieces    []piece
	variables []variable // where in pieces their values go
}

// variable is one like ${aws:PrincipalTag/team, 'none'}.
type variable struct {
	piece      int // its place in the pattern
	key        contextKey
	substitute string // what stands there for a request that has no such key
	optional   bool   // there is a substitute
}

// compile reads a text. If wild, * and ? stand for other characters.
func (d dialect) compile(text string, wild bool) (pattern, error) {
	var p pattern
	for d.variables {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			break
		}
		p.add(before, !wild)
		inside, after, err := cutVariable(rest)
		if err != nil {
			return pattern{}, err
		}
		text = after
		switch inside {
		case "*", "?", "$":
			p.add(inside, true)
			continue
		}
		v, err := parseVariable(inside)
		if err != nil {
			return pattern{}, fmt.Errorf("the variable ${%s}: %w", registry.Clip(inside), err)
		}
		if len(p.variables) == maxVariables {
			return pattern{}, fmt.Errorf("a text may have %d variables at most", maxVariables)
		}
		v.piece = len(p.pieces)
		p.variables = append(p.variables, v)
		p.pieces = append(p.pieces, piece{literal: true})
	}
	p.add(text, !wild)
	return p, nil
}

// add appends what stands in the policy itself.
func (p *pattern) add(text string, literal bool) {
	if text == "" {
		return
	}
	least := len(text)
	if !literal {
		for strings.Contains(text, "**") {
			text = strings.ReplaceAll(text, "**", "*")
		}
		least = leastLength(text)
	}
	p.pieces = append(p.pieces, piece{text: text, literal: literal, least: least})
}

// cutVariable splits a text after "${" at the brace that closes it.
func cutVariable(s string) (inside, after string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[:i], s[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("the variable ${%s is not closed; a literal $ is written ${$}", registry.Clip(s))
}

// parseVariable reads what stands between the braces: a key, or a key and a substitute.
func parseVariable(s string) (v variable, err error) {
	name, substitute, found := strings.Cut(s, ",")
	if found {
		substitute = strings.TrimLeft(substitute, " ")
		if len(substitute) < 2 || substitute[0] != '\'' || strings.IndexByte(substitute[1:], '\'') != len(substitute)-2 {
			return v, errors.New("what stands for a missing value is written in single quotes, as in ${aws:PrincipalTag/team, 'none'}")
		}
		v.substitute, v.optional = substitute[1:len(substitute)-1], true
	}
	if v.key, err = parseContextKey(strings.TrimSpace(name)); err != nil {
		return v, err
	}
	if v.key.many() {
		return v, fmt.Errorf("%s may have many values", name)
	}
	return v, nil
}

// resolvable reports whether r has all keys for which there is no substitute. A
// statement with a variable that has no value speaks of no request.
func (p *pattern) resolvable(r *Request) bool {
	for i := range p.variables {
		v := &p.variables[i]
		if !v.optional && !r.has(v.key) {
			return false
		}
	}
	return true
}

// readsTags reports whether a variable stands for a tag of the repository.
func (p *pattern) readsTags() bool {
	return slices.ContainsFunc(p.variables, func(v variable) bool { return v.key.kind == resourceTagKey })
}

// resolve puts the values of r in place of the variables. What they hold stands for
// itself, wildcards too. into is room for the answer.
func (p *pattern) resolve(r *Request, into []piece) []piece {
	if len(p.variables) == 0 {
		return p.pieces
	}
	into = append(into, p.pieces...)
	for i := range p.variables {
		v := &p.variables[i]
		value, ok := r.value(v.key)
		if !ok {
			value = v.substitute
		}
		into[v.piece].text, into[v.piece].least = value, len(value)
	}
	return into
}

// match reports whether s is what the pattern describes for r.
func (p *pattern) match(r *Request, s string) bool {
	var room [2*maxVariables + 1]piece
	return matchPieces(p.resolve(r, room[:0]), s)
}

// text is the pattern for r as one string, wildcards and all.
func (p *pattern) text(r *Request) string {
	var room [2*maxVariables + 1]piece
	pieces := p.resolve(r, room[:0])
	if len(pieces) == 1 {
		return pieces[0].text
	}
	var b strings.Builder
	for _, q := range pieces {
		b.WriteString(q.text)
	}
	return b.String()
}

// prefix is what everything begins with that the pattern describes for r.
func (p *pattern) prefix(r *Request) string {
	var room [2*maxVariables + 1]piece
	var b strings.Builder
	for _, q := range p.resolve(r, room[:0]) {
		if i := strings.IndexAny(q.text, "*?"); i >= 0 && !q.literal {
			b.WriteString(q.text[:i])
			break
		}
		b.WriteString(q.text)
	}
	return b.String()
}

// length is how many bytes a pattern without variables has, wildcards and all.
func (p *pattern) length() int {
	n := 0
	for i := range p.pieces {
		n += len(p.pieces[i].text)
	}
	return n
}
