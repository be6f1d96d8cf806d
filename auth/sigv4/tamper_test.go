package sigv4_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"berth/auth/sigv4"
)

// tampered are requests that were changed on the way.
var tampered = []struct {
	name   string
	change func(r *http.Request, body *[]byte)
	text   string // of the refusal; empty: the signature does not match
}{
	{"method", func(r *http.Request, _ *[]byte) { r.Method = "PUT" }, ""},
	{"path", func(r *http.Request, _ *[]byte) { r.URL.Path = "/x" }, ""},
	{"query", func(r *http.Request, _ *[]byte) { r.URL.RawQuery = "a=b" }, ""},
	{"host", func(r *http.Request, _ *[]byte) { r.Host = "registry.example.test" }, ""},
	{"a byte of the body", func(_ *http.Request, b *[]byte) { (*b)[3] ^= 1 }, ""},
	{"more body", func(_ *http.Request, b *[]byte) { *b = append(*b, '\n') }, ""},
	{"no body", func(_ *http.Request, b *[]byte) { *b = nil }, ""},
	{"target", func(r *http.Request, _ *[]byte) {
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DeleteRepository")
	}, ""},
	{"type", func(r *http.Request, _ *[]byte) { r.Header.Set("Content-Type", "application/json") }, ""},
	{"no type", func(r *http.Request, _ *[]byte) { r.Header.Del("Content-Type") }, "no such header"},
	{"case of a value", func(r *http.Request, _ *[]byte) { r.Header.Set("Content-Type", "Application/X-Amz-Json-1.1") }, ""},
	{"length", func(r *http.Request, _ *[]byte) { r.Header.Set("Content-Length", "33") }, ""},
	{"date", func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Date", "20260115T120001Z") }, ""},
	{"a token", func(r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Security-Token", "SESSION/TOKEN==") }, "'x-amz-security-token' must be a 'SignedHeader'"},
	{"another x-amz header", func(r *http.Request, _ *[]byte) { r.Header["X-AMZ-acl"] = []string{"all"} }, "'x-amz-acl' must be a 'SignedHeader'"},
	{"a target before ours", func(r *http.Request, _ *[]byte) {
		r.Header["X-Amz-Target"] = append([]string{"other"}, r.Header["X-Amz-Target"]...)
	}, "more than once"},
	{"a target after ours", func(r *http.Request, _ *[]byte) { r.Header.Add("X-Amz-Target", "other") }, "more than once"},
	{"the same target again", func(r *http.Request, _ *[]byte) { r.Header.Add("X-Amz-Target", r.Header.Get("X-Amz-Target")) }, "more than once"},
	{"a date after ours", func(r *http.Request, _ *[]byte) { r.Header.Add("X-Amz-Date", "20260115T120001Z") }, "more than one"},
	{"a line end in a value", func(r *http.Request, _ *[]byte) {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1\nhost:other")
	}, "control character"},
	{"a tab in a value", func(r *http.Request, _ *[]byte) { r.Header.Set("Content-Type", "application/x-amz-json-1.1\t") }, "control character"},
	{"a line end in the host", func(r *http.Request, _ *[]byte) { r.Host += "\n" }, "control character"},
	{"the algorithm in the query, too", func(r *http.Request, _ *[]byte) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" }, "Found both 'X-Amz-Algorithm'"},
	{"a signature in the query, too", func(r *http.Request, _ *[]byte) { r.URL.RawQuery = "X-Amz-Signature=a" }, ""},
	// What moves from one part to the next.
	{"a header into the value before", func(r *http.Request, _ *[]byte) {
		r.Header.Set("Content-Type", r.Header.Get("Content-Type")+"host:"+r.Host)
	}, ""},
}

func TestTampered(t *testing.T) {
	for _, test := range tampered {
		r, body := described(t)
		if _, err := newVerifier().Verify(r, body); err != nil {
			t.Fatal(err)
		}
		test.change(r, &body)
		text := test.text
		if text == "" {
			text = "does not match the signature you provided"
		}
		_, err := newVerifier().Verify(r, body)
		wantRefused(t, test.name, err, sigv4.InvalidSignature, text)
	}
}

// TestIndifferent has what may change on the way.
func TestIndifferent(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"a proxy's headers":          func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"a load balancer's headers":  func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=1") },
		"the agent":                  func(r *http.Request) { r.Header.Set("User-Agent", "other") },
		"no Content-Length header":   func(r *http.Request) { r.Header.Del("Content-Length") },
		"no path":                    func(r *http.Request) { r.URL.Path = "" },
		"blanks around a value":      func(r *http.Request) { r.Header.Set("Content-Type", "  application/x-amz-json-1.1 ") },
		"an ampersand in the query":  func(r *http.Request) { r.URL.RawQuery = "&" },
		"the scheme of absolute URL": func(r *http.Request) { r.URL.Scheme, r.URL.Host = "http", r.Host },
	} {
		r, body := described(t)
		change(r)
		if _, err := newVerifier().Verify(r, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForms signs what is hard to write in one way, and has it arrive in another.
func TestForms(t *testing.T) {
	const blanks = "a  b   c"
	for _, test := range []struct {
		name, target string // signed
		arrives      string // instead; empty: the same
		ok           bool
	}{
		{"blank", "/?a=b%20c", "", true},
		{"plus for a blank", "/?a=b%20c", "/?a=b+c", true},
		{"blank for a plus", "/?a=b%2Bc", "/?a=b+c", false},
		{"encoded plus", "/?a=b%2Bc", "", true},
		{"encoding in lower case", "/?a=b%2Fc", "/?a=b%2fc", true},
		{"a slash, encoded or not", "/?a=b%2Fc", "/?a=b/c", true},
		{"what needs no encoding", "/?a=%7e-._", "/?a=~%2D%2E%5F", true},
		{"no value", "/?a", "", true},
		{"an empty value", "/?a=", "/?a", true},
		{"an empty name", "/?=a", "", true},
		{"a second =", "/?a=b=c", "/?a=b%3Dc", true},
		{"order", "/?b=1&a=2&a-b=3&ab=4&A=5", "/?A=5&a=2&a-b=3&ab=4&b=1", true},
		{"order of what is encoded", "/?a%2Fb=1&a-b=2", "", true},
		{"exchanged values", "/?a=1&b=2", "/?a=2&b=1", false},
		{"unicode", "/?name=%C3%A4%E6%BC%A2", "", true},
		{"unicode in another form", "/?name=%C3%A4", "/?name=a%CC%88", false},
		{"a zero", "/?a=%00", "", true},
		{"path", "/v1/team-a/web", "", true},
		{"path with an encoded slash", "/v1/team-a%2Fweb", "", true},
		{"path with a slash that was encoded", "/v1/team-a%2Fweb", "/v1/team-a/web", false},
		{"path with an encoded blank", "/a%20b", "", true},
		{"path encoded twice", "/a%20b", "/a%2520b", false},
		{"path in unicode", "/%E1%88%B4", "", true},
		{"slash at the end", "/a/", "", true},
		{"no slash at the end", "/a/", "/a", false},
		{"reserved characters in the path", "/a:b@c$d,e;f=g!(h)*'i'", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(t, "POST", "http://registry.example.test:5000"+test.target, "{}", "X-Blanks", blanks)
			sign(t, r, "{}", lasting, "ecr", now)
			r, body := arrive(t, r)
			if test.arrives != "" {
				u, err := url.ParseRequestURI(test.arrives)
				if err != nil {
					t.Fatal(err)
				}
				r.URL = u
			}
			_, err := newVerifier().Verify(r, body)
			if test.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, test.arrives, err, sigv4.InvalidSignature, "does not match the signature you provided")
		})
	}
}

// TestTwoReadings has requests whose signature is right, or would be by some signer,
// and of which two hands could think two things.
func TestTwoReadings(t *testing.T) {
	for _, test := range []struct{ target, text string }{
		{"/?a=1&a=2", "more than once"},
		{"/?Action=GetCallerIdentity&b=1&%41ction=AssumeRole", "more than once"},
		{"/?a=1;b=2", "cannot be read"},
		{"/?a=%zz", "cannot be read"},
		{"/?a=%2", "cannot be read"},
		{"//", "empty or a dot segment"},
		{"//a", "empty or a dot segment"},
		{"/a//b", "empty or a dot segment"},
		{"/a/../b", "empty or a dot segment"},
		{"/./", "empty or a dot segment"},
		{"/..", "empty or a dot segment"},
		{"/%2e%2E/a", "empty or a dot segment"},
		{"*", "begin with a slash"},
	} {
		r := newRequest(t, "POST", endpoint, "{}")
		path, query, _ := strings.Cut(test.target, "?")
		r.URL.RawQuery = query
		r.URL.Path, r.URL.RawPath = path, path
		if decoded, err := url.PathUnescape(path); err == nil {
			r.URL.Path = decoded
		}
		sign(t, r, "{}", lasting, "ecr", now)
		r.URL.RawQuery = query // as a client without the SDK would have sent it
		_, err := newVerifier().Verify(r, []byte("{}"))
		wantRefused(t, test.target, err, sigv4.InvalidSignature, test.text)
	}
}
