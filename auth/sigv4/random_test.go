package sigv4_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"pgregory.net/rapid"

	"berth/auth/sigv4"
)

// TestRandom has the SDK sign whatever can be sent, and changes one thing of it.
func TestRandom(t *testing.T) { rapid.Check(t, signAndChange) }

func FuzzRandom(f *testing.F) { f.Fuzz(rapid.MakeFuzz(signAndChange)) }

// letters are those of values: what needs escaping, what escaping looks like, what is
// folded, and what takes more than a byte.
var letters = []rune("abcXYZ019-._~ +%2F/?&=:;,'\"()*!@#$^|\\äß漢🙂")

var (
	values = rapid.StringOfN(rapid.RuneFrom(letters), 0, 12, -1)
	names  = rapid.StringOfN(rapid.RuneFrom(letters), 1, 8, -1)
	tokens = rapid.StringMatching(`[0-9][A-Za-z0-9-]{0,8}`)
)

// isDots reports whether a segment would be refused whatever the signature.
func isDots(segment string) bool { return segment == "." || segment == ".." }

func signAndChange(t *rapid.T) {
	r, body := randomRequest(t)
	if s, err := newVerifier().Verify(r, body); err != nil || s.Owner == "" {
		t.Fatalf("%s %s %q: %+v, %v", r.Method, r.URL, r.Header, s, err)
	}
	changes := changesOf(r)
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(changes))).Draw(t, "change")
	changes[name](t, r, &body)
	_, err := newVerifier().Verify(r, body)
	if _, refused := errors.AsType[*sigv4.Error](err); !refused {
		t.Fatalf("%s changed, and the answer is %v", name, err)
	}
}

// randomRequest is signed and has arrived.
func randomRequest(t *rapid.T) (*http.Request, []byte) {
	u := url.URL{Scheme: "http", Host: "registry.example.test:5000", Path: "/"}
	segments := rapid.SliceOfN(names.Filter(func(s string) bool { return !isDots(s) }), 0, 3).Draw(t, "path")
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	u.Path, u.RawPath = "/"+strings.Join(segments, "/"), "/"+strings.Join(escaped, "/")
	q := url.Values{}
	for name, value := range rapid.MapOfN(names, values, 0, 5).Draw(t, "query") {
		q.Set(name, value)
	}
	presigned := rapid.Bool().Draw(t, "presigned")
	if presigned && rapid.Bool().Draw(t, "with a life") {
		q.Set("X-Amz-Expires", strconv.Itoa(rapid.IntRange(1, 604800).Draw(t, "life")))
	}
	u.RawQuery = q.Encode()
	body := rapid.StringN(0, 50, -1).Draw(t, "body")
	r := newRequest(t, rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE"}).Draw(t, "method"), u.String(), body)
	for name, value := range rapid.MapOfN(tokens, values, 0, 4).Draw(t, "headers") {
		r.Header.Set(rapid.SampledFrom([]string{"X-Some-", "X-Amz-Meta-", "X-Amz-"}).Draw(t, "prefix")+name, value)
	}
	c := rapid.SampledFrom([]aws.Credentials{lasting, temporary}).Draw(t, "key")
	service := rapid.SampledFrom([]string{"ecr", "sts"}).Draw(t, "service")
	if presigned {
		r = presign(t, r, body, c, service, now)
	} else {
		sign(t, r, body, c, service, now)
	}
	return arrive(t, r)
}

type change func(t *rapid.T, r *http.Request, body *[]byte)

// changesOf are changes that leave nothing of the request's meaning as it was signed.
func changesOf(r *http.Request) map[string]change {
	all := map[string]change{
		"method":  func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Method = "PATCH" },
		"host":    func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Host = "registry.example.test" },
		"path":    func(_ *rapid.T, r *http.Request, _ *[]byte) { r.URL.Path += "x"; r.URL.RawPath += "x" },
		"x-amz":   func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Header.Set("X-Amz-Added", "") },
		"body":    func(_ *rapid.T, _ *http.Request, b *[]byte) { *b = append(*b, 0) },
		"query":   func(_ *rapid.T, r *http.Request, _ *[]byte) { r.URL.RawQuery += "&added" },
		"claim":   changeClaim,
		"claimed": removeFromClaim,
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Some-") || strings.HasPrefix(name, "X-Amz-") {
			all["value of "+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Header[name][0] += "x" }
			all["without "+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Header.Del(name) }
			all["twice "+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) { r.Header.Add(name, r.Header.Get(name)) }
		}
	}
	for name := range r.URL.Query() {
		all["value of ?"+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) {
			q := r.URL.Query()
			q[name][0] += "0"
			r.URL.RawQuery = q.Encode()
		}
		all["without ?"+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) {
			q := r.URL.Query()
			q.Del(name)
			r.URL.RawQuery = q.Encode()
		}
		all["twice ?"+name] = func(_ *rapid.T, r *http.Request, _ *[]byte) {
			r.URL.RawQuery += "&" + url.QueryEscape(name) + "="
		}
	}
	return all
}

// changeClaim puts another letter into what the request says of its signature.
func changeClaim(t *rapid.T, r *http.Request, _ *[]byte) {
	another := func(s string) string {
		i := rapid.IntRange(0, len(s)-1).Draw(t, "where")
		c := rapid.SampledFrom([]byte("abcdef0123456789")).Filter(func(c byte) bool { return c != s[i] }).Draw(t, "letter")
		return s[:i] + string(c) + s[i+1:]
	}
	if header := r.Header.Get("Authorization"); header != "" {
		r.Header.Set("Authorization", another(header))
		return
	}
	q := r.URL.Query()
	name := rapid.SampledFrom([]string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Algorithm"}).Draw(t, "parameter")
	q.Set(name, another(q.Get(name)))
	r.URL.RawQuery = q.Encode()
}

// removeFromClaim leaves out a letter of it.
func removeFromClaim(t *rapid.T, r *http.Request, _ *[]byte) {
	cut := func(s string) string {
		i := rapid.IntRange(0, len(s)-1).Filter(func(i int) bool { return s[i] != ' ' }).Draw(t, "where")
		return s[:i] + s[i+1:]
	}
	if header := r.Header.Get("Authorization"); header != "" {
		r.Header.Set("Authorization", cut(header))
		return
	}
	q := r.URL.Query()
	q.Set("X-Amz-Signature", cut(q.Get("X-Amz-Signature")))
	r.URL.RawQuery = q.Encode()
}
