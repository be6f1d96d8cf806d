package sts

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"berth/registry"
)

// form is the parameters of a request, and what is wrong with them.
type form struct {
	values url.Values
	faults *[]string
}

// readForm reads the parameters of a request: in its body, or of a GET in the query. One
// that comes twice could be read in two ways, and is refused.
func readForm(r *http.Request, body []byte) (form, error) {
	text := string(body)
	if r.Method == http.MethodGet {
		text = r.URL.RawQuery
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return form{}, failure(http.StatusBadRequest, "MalformedQueryString", "the parameters of the request are not valid: %s", registry.Clip(err.Error()))
	}
	for name, list := range values {
		if len(list) > 1 {
			return form{}, failure(http.StatusBadRequest, "MalformedQueryString", "the parameter %q comes more than once", registry.Clip(name))
		}
		if !utf8.ValidString(list[0]) || strings.ContainsRune(list[0], 0) {
			return form{}, failure(http.StatusBadRequest, "MalformedQueryString", "the parameter %q is not UTF-8", registry.Clip(name))
		}
	}
	return form{values, new([]string)}, nil
}

func (f form) get(name string) string { return f.values.Get(name) }

// has reports whether there is a parameter, or a member of a list or structure, of that
// name.
func (f form) has(name string) bool {
	for n := range f.values {
		if n == name || strings.HasPrefix(n, name+".") {
			return true
		}
	}
	return false
}

// fault notes that a parameter is not what it should be, in the words of AWS.
func (f form) fault(name, value, constraint string) {
	*f.faults = append(*f.faults, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s",
		value, strings.ToLower(name[:1])+name[1:], constraint))
}

// text returns a parameter that has to be there, of least to most characters, all of
// which pattern describes. One that is secret is not repeated in the answer.
func (f form) text(name string, least, most int, pattern *regexp.Regexp, secret bool) string {
	s, shown := f.get(name), "'"+registry.Clip(f.get(name))+"'"
	if secret {
		shown = "'***'"
	}
	switch n := utf8.RuneCountInString(s); {
	case s == "":
		f.fault(name, "null", "Member must not be null")
	case n < least:
		f.fault(name, shown, fmt.Sprintf("Member must have length greater than or equal to %d", least))
	case n > most:
		f.fault(name, shown, fmt.Sprintf("Member must have length less than or equal to %d", most))
	case pattern != nil && !pattern.MatchString(s):
		f.fault(name, shown, "Member must satisfy regular expression pattern: "+pattern.String())
	}
	return s
}

// duration returns DurationSeconds, which may be left out.
func (f form) duration(least, most, usual time.Duration) time.Duration {
	const name = "DurationSeconds"
	s := f.get(name)
	if s == "" {
		return usual
	}
	seconds, err := strconv.ParseInt(s, 10, 32)
	d := time.Duration(seconds) * time.Second
	switch {
	case err != nil:
		f.fault(name, "'"+registry.Clip(s)+"'", "Member must be an integer")
	case d < least:
		f.fault(name, "'"+s+"'", fmt.Sprintf("Member must have value greater than or equal to %d", int(least/time.Second)))
	case d > most:
		f.fault(name, "'"+s+"'", fmt.Sprintf("Member must have value less than or equal to %d", int(most/time.Second)))
	}
	return d
}

// check tells all that is wrong at once.
func (f form) check() error {
	switch n := len(*f.faults); n {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", (*f.faults)[0])
	default:
		return invalid("%d validation errors detected: %s", n, strings.Join(*f.faults, "; "))
	}
}
