package ecr_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"berth/auth"
	"berth/registry/ecr"
)

// What is STS's goes to STS, and nothing else does.
func TestQuery(t *testing.T) {
	face := ecr.New(nil, nil, ecr.Options{
		Endpoint:     func(*http.Request) string { return "" },
		Authenticate: func(*http.Request, []byte) (auth.Principal, error) { return auth.Nobody, io.ErrUnexpectedEOF },
		Query:        http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	})
	for _, test := range []struct {
		method, path, contentType, target string
		want                              bool
	}{
		{"POST", "/", "application/x-www-form-urlencoded", "", true},
		{"POST", "/", "application/x-www-form-urlencoded; charset=utf-8", "", true},
		{"GET", "/?Action=GetCallerIdentity&X-Amz-Signature=x", "", "", true},
		{"POST", "/", "application/x-www-form-urlencoded", "AmazonEC2ContainerRegistry_V20150921.ListImages", false},
		{"POST", "/", "application/x-amz-json-1.1", "", false},
		{"POST", "/", "", "", false},
		{"POST", "/?Action=GetCallerIdentity", "application/json", "", false},
		{"GET", "/", "", "", false},
		{"GET", "/?Action=x", "", "AmazonEC2ContainerRegistry_V20150921.ListImages", false},
		{"PUT", "/?Action=x", "application/x-www-form-urlencoded", "", false},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader("Action=GetCallerIdentity"))
		r.Header.Set("Content-Type", test.contentType)
		r.Header.Set("X-Amz-Target", test.target)
		w := httptest.NewRecorder()
		face.ServeHTTP(w, r)
		if got := w.Code == http.StatusTeapot; got != test.want {
			t.Errorf("%+v: %d", test, w.Code)
		}
	}
}
