package registry

// MatchWildcard reports whether s is what pattern describes: * stands for any
// number of bytes, ? for one. It goes back only to the last star it passed, so its
// time is at most the product of the two lengths, whatever the pattern.
func MatchWildcard(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // the last star, and where in s its stretch ends for now
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
