package oci_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestScripts plays the files in testdata, each against a server of its own:
//
//	let NAME TEXT            gives a text a name
//	METHOD TARGET            begins a request; the target is sent as it stands
//	Header: value            belongs to the request, as does
//	< TEXT                   a line of its body
//	code == 201              what the answer must be: code, body or a header, compared
//	body contains TEXT       by ==, contains or matches (a regular expression)
//	Link absent              the answer must not have the header
//	set NAME Header          gives the value of a header a name
//
// ${NAME} is a text, ${sha256 NAME}, ${sha512 NAME} and ${len NAME} are facts about
// it, ${repeat 300 a} is a lot of it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			newScript(t, serve(t, nil, nil).URL).run(file, string(text))
		})
	}
}

type script struct {
	t     *testing.T
	host  string
	names map[string]string
	where string // file and line, for messages

	request *http.Request // not sent yet
	lines   []string      // of its body
	answer  *http.Response
	body    string // of the answer
}

func newScript(t *testing.T, address string) *script {
	return &script{t: t, host: strings.TrimPrefix(address, "http://"), names: map[string]string{}}
}

var (
	requestLine = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\S+)$`)
	headerLine  = regexp.MustCompile(`^([A-Z][A-Za-z-]*): (.*)$`)
	checkLine   = regexp.MustCompile(`^(\S+) (==|contains|matches|absent) ?(.*)$`)
	reference   = regexp.MustCompile(`\$\{(\w+)(?: (\w+))?(?: (\S+))?\}`)
)

func (s *script) run(file, text string) {
	s.t.Helper()
	number := 0
	for line := range strings.Lines(text) {
		number++
		s.where = fmt.Sprintf("%s:%d", file, number)
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			s.line(reference.ReplaceAllStringFunc(line, s.expand))
		}
	}
	s.send()
}

func (s *script) line(line string) {
	word, rest, _ := strings.Cut(line, " ")
	if m := requestLine.FindStringSubmatch(line); m != nil {
		s.send()
		s.request = &http.Request{Method: m[1], URL: &url.URL{Scheme: "http", Host: s.host, Opaque: m[2]}, Header: http.Header{}}
	} else if m := headerLine.FindStringSubmatch(line); m != nil {
		s.request.Header.Add(m[1], m[2])
	} else if word == "<" {
		s.lines = append(s.lines, rest)
	} else if word == "let" {
		name, value, _ := strings.Cut(rest, " ")
		s.names[name] = value
	} else if word == "set" {
		s.send()
		name, header, _ := strings.Cut(rest, " ")
		s.names[name] = s.answer.Header.Get(header)
	} else if m := checkLine.FindStringSubmatch(line); m != nil {
		s.send()
		s.check(m[1], m[2], m[3])
	} else {
		s.t.Fatalf("%s: what is %q?", s.where, line)
	}
}

func (s *script) send() {
	if s.request == nil {
		return
	}
	if s.lines != nil {
		body := strings.Join(s.lines, "\n")
		s.request.ContentLength = int64(len(body))
		s.request.Body = io.NopCloser(strings.NewReader(body))
	}
	answer, err := http.DefaultTransport.RoundTrip(s.request)
	if err != nil {
		s.t.Fatalf("%s: before this line: %v", s.where, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatalf("%s: before this line: %v", s.where, err)
	}
	s.request, s.lines, s.answer, s.body = nil, nil, answer, string(body)
}

func (s *script) check(what, how, want string) {
	got := s.body
	switch what {
	case "body":
	case "code":
		got = strconv.Itoa(s.answer.StatusCode)
	default:
		got = strings.Join(s.answer.Header.Values(what), ", ")
	}
	matches := got == want
	switch how {
	case "contains":
		matches = strings.Contains(got, want)
	case "matches":
		matches = regexp.MustCompile(want).MatchString(got)
	}
	if !matches {
		s.t.Errorf("%s: %s is %.300q, want %s %.300q\n%s %.300s", s.where, what, got, how, want, s.answer.Status, s.body)
	}
}

// expand replaces one ${…}.
func (s *script) expand(found string) string {
	m := reference.FindStringSubmatch(found)
	switch text := s.names[m[2]]; m[1] {
	case "sha256", "sha512":
		return digest.Algorithm(m[1]).FromString(text).String()
	case "len":
		return strconv.Itoa(len(text))
	case "repeat":
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[3], n)
	}
	text, ok := s.names[m[1]]
	if !ok {
		s.t.Fatalf("%s: nothing is called %s", s.where, m[1])
	}
	return text
}
