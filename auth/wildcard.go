package auth

import "unicode/utf8"

// MatchWildcard reports whether s is what pattern describes: * stands for any
// number of characters, ? for one.
func MatchWildcard(pattern, s string) bool {
	p := [1]piece{{text: pattern, least: leastLength(pattern)}}
	return matchPieces(p[:], s)
}

// piece is a stretch of a pattern.
type piece struct {
	text    string
	literal bool // * and ? stand for themselves
	least   int  // bytes that it takes at least
}

// leastLength is how many bytes there are at least in what pattern describes.
func leastLength(pattern string) int {
	n := 0
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '*' {
			n++
		}
	}
	return n
}

// matchPieces reports whether s is what the pieces, one after the other, describe. It
// goes back only to the last star it passed, and what takes more bytes than s has is
// not tried, so its time is at most the square of the length of s, whatever the
// pattern.
func matchPieces(p []piece, s string) bool {
	least := 0
	for i := range p {
		least += p[i].least
	}
	if least > len(s) {
		return false
	}
	var at, star place // star is behind the last star that was passed
	i, mark := 0, -1   // mark is where in s its stretch ends for now
	for {
		c, wild := at.look(p)
		switch {
		case wild && c == '*':
			at.at++
			star, mark = at, i
			continue
		case i == len(s):
			return at.piece == len(p)
		case at.piece < len(p) && wild:
			at.at++
			i += width(s[i:])
			continue
		case at.piece < len(p) && c == s[i]:
			at.at++
			i++
			continue
		case mark < 0:
			return false
		}
		mark += width(s[mark:])
		at, i = star, mark
	}
}

// place is one in a list of pieces.
type place struct{ piece, at int }

// look moves to the next byte if there is one, and says which it is and whether it is
// a wildcard. At the end it is in no piece.
func (l *place) look(p []piece) (c byte, wild bool) {
	for l.piece < len(p) && l.at == len(p[l.piece].text) {
		l.piece, l.at = l.piece+1, 0
	}
	if l.piece == len(p) {
		return 0, false
	}
	c = p[l.piece].text[l.at]
	return c, !p[l.piece].literal && (c == '*' || c == '?')
}

// width is how many bytes the first character of s has.
func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}
