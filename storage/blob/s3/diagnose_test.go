package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob/s3/s3test"
	"berth/storage/checkup"
)

// faultyProxy is a proxy in front of an S3 server. fault answers a request itself and
// reports that it did, or changes it; change, if there is one, changes the answer.
func faultyProxy(t *testing.T, server *s3test.Server, fault func(http.ResponseWriter, *http.Request) bool, change func(*http.Response)) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: server.Endpoint}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if change != nil {
				change(r)
			}
			return nil
		},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault == nil || !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// answerError answers as S3 does.
func answerError(w http.ResponseWriter, status int, code, more string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>refused by the test</Message>%s</Error>`, code, more)
	return true
}

func diagnose(t *testing.T, o Options, d Diagnosis) []checkup.Finding {
	t.Helper()
	if d.UploadExpiry == 0 {
		d.UploadExpiry = 24 * time.Hour
	}
	var c checkup.Checks
	if err := Diagnose(t.Context(), o, d, &c); err != nil {
		t.Fatal(err)
	}
	return c.All()
}

func doctored(server *s3test.Server, bucket string) Options {
	return Options{
		Bucket: bucket, Prefix: "registry", Endpoint: "http://" + server.Endpoint, Region: s3test.Region,
		AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey,
	}
}

// TestDiagnoseHealthy has nothing to find, and leaves nothing.
func TestDiagnoseHealthy(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	o := doctored(server, server.Bucket(t))
	for _, f := range diagnose(t, o, Diagnosis{}) {
		t.Logf("%-8s %s: %s", f.Severity, f.Name, f.Seen)
		if f.Severity != checkup.OK {
			t.Errorf("%+v", f)
		}
	}
	requests := 0
	o.Endpoint = faultyProxy(t, server, nil, func(*http.Response) { requests++ })
	o.Prefix = "" // sees all there is
	store, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(t.Context())
	left, err := names(t.Context(), store)
	if err != nil || len(left) > 0 || requests == 0 {
		t.Errorf("%q are left, %v", left, err)
	}
}

// names are those of all objects and unfinished uploads of the bucket.
func names(ctx context.Context, s *Store) (names []string, err error) {
	for o := range s.client.ListObjectsIter(ctx, s.client.bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		names = append(names, o.Key)
	}
	for u, err := range s.uploads(ctx, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, u.Key)
	}
	return names, nil
}

var diagnoseTests = []struct {
	name     string
	options  func(*Options)
	fault    func(http.ResponseWriter, *http.Request) bool
	change   func(*http.Response)
	redirect bool

	finding  string
	severity checkup.Severity
	says     string // in what was seen or in the advice
}{
	{
		name: "no such bucket", options: func(o *Options) { o.Bucket = "elsewhere" },
		finding: "s3 bucket", severity: checkup.Problem, says: "aws s3 mb s3://elsewhere --endpoint-url http://",
	},
	{
		name: "unknown access key", options: func(o *Options) { o.AccessKey = "nobody" },
		finding: "s3 keys", severity: checkup.Problem, says: "does not know the access key",
	},
	{
		name: "wrong secret key", options: func(o *Options) { o.SecretKey = "guessed" },
		finding: "s3 keys", severity: checkup.Problem, says: "does not go with the access key",
	},
	{
		name: "expired session", fault: func(w http.ResponseWriter, r *http.Request) bool {
			return answerError(w, http.StatusBadRequest, "ExpiredToken", "")
		},
		finding: "s3 keys", severity: checkup.Problem, says: "has expired",
	},
	{
		name: "wrong region", options: func(o *Options) { o.Region = "eu-west-1" },
		finding: "s3 region", severity: checkup.Problem, says: "region=",
	},
	{
		name: "bucket elsewhere", fault: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
			return answerError(w, http.StatusMovedPermanently, "PermanentRedirect", "")
		},
		finding: "s3 region", severity: checkup.Problem, says: "set region=eu-central-1",
	},
	{
		name: "no path style", options: func(o *Options) { o.PathStyle = "off" },
		finding: "s3 path style", severity: checkup.Problem, says: "set path-style=on",
	},
	{
		name: "nothing there", options: func(o *Options) { o.Endpoint = "http://127.0.0.1:1" },
		finding: "s3 endpoint", severity: checkup.Problem, says: "refuses connections",
	},
	{
		name: "no TLS", options: func(o *Options) { o.Endpoint = strings.Replace(o.Endpoint, "http:", "https:", 1) },
		finding: "s3 endpoint", severity: checkup.Problem, says: "http:// instead of https://",
	},
	{
		name: "not S3", fault: func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "<html>console</html>", http.StatusTeapot)
			return true
		},
		finding: "s3 path style", severity: checkup.Problem, says: "does not answer like S3",
	},
	{
		name: "clock far ahead", change: func(r *http.Response) {
			r.Header.Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
		},
		finding: "s3 clock", severity: checkup.Problem, says: "10m0s ahead of ours",
	},
	{
		name: "clock behind", change: func(r *http.Response) {
			r.Header.Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
		},
		finding: "s3 clock", severity: checkup.Warning, says: "1m0s behind ours",
	},
	{
		name: "list denied", fault: deny(func(r *http.Request) bool { return r.Method == "GET" && r.URL.Query().Has("list-type") }),
		finding: "s3 list", severity: checkup.Problem, says: "allow s3:ListBucket on arn:aws:s3:::bucket1",
	},
	{
		name: "put denied", fault: deny(func(r *http.Request) bool { return r.Method == "PUT" }),
		finding: "s3 put", severity: checkup.Problem, says: "allow s3:PutObject on arn:aws:s3:::bucket1/registry/*",
	},
	{
		name: "get denied", fault: deny(func(r *http.Request) bool { return r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/sample") }),
		finding: "s3 get", severity: checkup.Problem, says: "s3:GetObject is denied",
	},
	{
		name: "delete denied", fault: deny(func(r *http.Request) bool { return r.Method == "DELETE" && !r.URL.Query().Has("uploadId") }),
		finding: "s3 delete", severity: checkup.Problem, says: "s3:DeleteObject is denied",
	},
	{
		name: "multipart denied", fault: deny(func(r *http.Request) bool { return r.Method == "POST" }),
		finding: "s3 multipart create", severity: checkup.Problem, says: "s3:PutObject is denied",
	},
	{
		name: "multipart unknown", fault: func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == "POST" && answerError(w, http.StatusNotImplemented, "NotImplemented", "")
		},
		finding: "s3 multipart create", severity: checkup.Problem, says: "does not support multipart uploads",
	},
	{
		name: "parts too large", fault: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength <= 1<<20 {
				return false
			}
			http.Error(w, "413", http.StatusRequestEntityTooLarge)
			return true
		},
		finding: "s3 multipart part", severity: checkup.Problem, says: "client_max_body_size",
	},
	{
		name: "abort denied", fault: deny(func(r *http.Request) bool { return r.Method == "DELETE" && r.URL.Query().Has("uploadId") }),
		finding: "s3 multipart abort", severity: checkup.Problem, says: "s3:AbortMultipartUpload is denied",
	},
	{
		name: "list of uploads denied", fault: deny(func(r *http.Request) bool { return r.Method == "GET" && r.URL.Query().Has("uploads") }),
		finding: "s3 multipart list", severity: checkup.Problem, says: "allow s3:ListBucketMultipartUploads",
	},
	{
		name: "checksum refused", fault: func(w http.ResponseWriter, r *http.Request) bool {
			sum := r.Header.Get("X-Amz-Checksum-Crc32c") + r.Header.Get("X-Amz-Checksum-Algorithm")
			return sum != "" && answerError(w, http.StatusBadRequest, "InvalidArgument", "")
		},
		finding: "s3 checksum", severity: checkup.Problem, says: "set checksum=none",
	},
	{
		name: "If-None-Match ignored", fault: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("If-None-Match") == "" {
				return false
			}
			w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
			return true
		},
		finding: "s3 if-none-match", severity: checkup.Warning, says: "ignores If-None-Match",
	},
	{
		name: "If-None-Match unknown", fault: func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == "PUT" && r.Header.Get("If-None-Match") != "" && answerError(w, http.StatusNotImplemented, "NotImplemented", "")
		},
		finding: "s3 if-none-match", severity: checkup.Warning, says: "does not know If-None-Match",
	},
	{
		name: "Range ignored", fault: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Write(sample)
			return true
		},
		finding: "s3 range", severity: checkup.Problem, says: "ignores Range",
	},
	{
		name: "Range removed", fault: func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			return false
		},
		finding: "s3 range", severity: checkup.Problem, says: "have it pass them on",
	},
	{
		name: "signed URLs refused", redirect: true, fault: deny(func(r *http.Request) bool { return r.URL.Query().Has("X-Amz-Signature") }),
		finding: "s3 presigned", severity: checkup.Problem, says: "answered 403",
	},
	{
		name: "signed URLs not needed", fault: deny(func(r *http.Request) bool { return r.URL.Query().Has("X-Amz-Signature") }),
		finding: "s3 presigned", severity: checkup.OK, says: "is not needed",
	},
	{
		name: "signed URLs of loopback", redirect: true,
		finding: "s3 presigned", severity: checkup.Warning, says: "leave --redirect off",
	},
	{
		name: "versions", fault: func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("versioning") {
				return false
			}
			fmt.Fprint(w, `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`)
			return true
		},
		finding: "s3 versioning", severity: checkup.Warning, says: "NoncurrentVersionExpiration",
	},
	{
		name: "old uploads", fault: func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("uploads") || r.URL.Query().Get("prefix") != "registry/blobs/" {
				return false
			}
			fmt.Fprint(w, `<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Upload><Key>registry/blobs/aa/bb</Key><UploadId>x</UploadId><Initiated>2024-05-06T07:08:09.000Z</Initiated></Upload></ListMultipartUploadsResult>`)
			return true
		},
		finding: "s3 unfinished uploads", severity: checkup.Warning, says: "AbortIncompleteMultipartUpload",
	},
}

func deny(which func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return which(r) && answerError(w, http.StatusForbidden, "AccessDenied", "")
	}
}

// TestDiagnoseFaults has each fault named by the right finding, and by no other that
// is as bad.
func TestDiagnoseFaults(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	bucket := server.Bucket(t)
	for _, test := range diagnoseTests {
		t.Run(test.name, func(t *testing.T) {
			o := doctored(server, bucket)
			if test.fault != nil || test.change != nil {
				o.Endpoint = faultyProxy(t, server, test.fault, test.change)
			}
			if test.options != nil {
				test.options(&o)
			}
			named := false
			for _, f := range diagnose(t, o, Diagnosis{Redirect: test.redirect}) {
				if f.Name == test.finding {
					named = f.Severity == test.severity && strings.Contains(f.Seen+" "+f.Advice, test.says) && (f.Severity == checkup.OK || f.Advice != "")
					t.Logf("%+v", f)
				} else if f.Severity == checkup.Problem && !sameCause[test.name][f.Name] {
					t.Errorf("also %+v", f)
				}
			}
			if !named {
				t.Errorf("want a %s of %s with %q", test.severity, test.finding, test.says)
			}
		})
	}
}

// sameCause are other findings of which a fault is the cause as well.
var sameCause = map[string]map[string]bool{
	"list of uploads denied": {"s3 unfinished uploads": true, "s3 multipart abort": true},
	"multipart denied":       {"s3 multipart abort": true},
}

// TestDiagnoseHostStyle has a server that wants the bucket in the name of the host, for
// which tests have no DNS.
func TestDiagnoseHostStyle(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	o := doctored(server, "bucket1")
	o.PathStyle = "on"
	o.Transport = func(http.RoundTripper) http.RoundTripper { return hostStyle{} }
	for _, f := range diagnose(t, o, Diagnosis{}) {
		if f.Severity == checkup.Problem && (f.Name != "s3 path style" || f.Advice != "set path-style=off in --storage") {
			t.Errorf("%+v", f)
		} else if f.Name == "s3 path style" && f.Severity != checkup.Problem {
			t.Errorf("%+v", f)
		}
	}
}

type hostStyle struct{}

func (hostStyle) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if strings.HasPrefix(r.URL.Host, "bucket1.") {
		fmt.Fprint(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>`)
	} else {
		answerError(w, http.StatusNotFound, "NoSuchBucket", "")
	}
	return w.Result(), nil
}
