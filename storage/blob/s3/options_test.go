package s3

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Options{
		"s3://bucket":            {Bucket: "bucket"},
		"s3://bucket/":           {Bucket: "bucket"},
		"s3://my.bucket/a/b/":    {Bucket: "my.bucket", Prefix: "a/b"},
		"s3://id:key@bucket":     {Bucket: "bucket", AccessKey: "id", SecretKey: "key"},
		"s3://id:a%2Fb+c@bucket": {Bucket: "bucket", AccessKey: "id", SecretKey: "a/b+c"},
		"s3://b?path-style=true": {Bucket: "b", PathStyle: "on"},
		"s3://b?checksum=crc32c": {Bucket: "b"},
		"s3://b?memory=1GiB":     {Bucket: "b", Memory: 1 << 30},
		"s3://b?endpoint=http://localhost:9000&region=eu-west-1&path-style=off&ca=/etc/ca.pem&sse=kms&kms-key=k" +
			"&storage-class=STANDARD_IA&checksum=none&timeout=5s&max-rate=2.5&max-requests=7&memory=67108864": {
			Bucket: "b", Endpoint: "http://localhost:9000", Region: "eu-west-1", PathStyle: "off", CA: "/etc/ca.pem",
			SSE: "kms", KMSKey: "k", StorageClass: "STANDARD_IA", NoChecksum: true,
			Timeout: 5 * time.Second, MaxRate: 2.5, MaxRequests: 7, Memory: 64 << 20,
		},
	} {
		got, err := ParseURL(raw)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}

func TestParseURLErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                   "s3://bucket/prefix",
		"bucket":                             "s3://bucket/prefix",
		"http://bucket":                      "s3://bucket/prefix",
		"s3://":                              "s3://bucket/prefix",
		"s3://bucket:80":                     "s3://bucket/prefix",
		"s3://id:SECRET/x@bucket":            "%2F",
		"s3://id:SEC%RET@bucket":             "malformed",
		"s3://id:SECRET@buck et":             "malformed",
		"s3://id:SECRET@bucket?x=%":          "malformed",
		"s3://id@bucket":                     "two keys",
		"s3://id:SECRET@bucket?insecure=yes": `"insecure"`,
		"s3://b?region=a&region=b":           "region twice",
		"s3://b?path-style=maybe":            "path-style",
		"s3://b?sse=c":                       "sse",
		"s3://b?kms-key=k":                   "kms-key",
		"s3://b?checksum=md5":                "checksum",
		"s3://b?timeout=5":                   "timeout",
		"s3://b?timeout=-5s":                 "timeout",
		"s3://b?max-rate=0.1":                "max-rate",
		"s3://b?max-requests=-1":             "max-requests",
		"s3://b?memory=1MiB":                 "memory",
		"s3://b?memory=99999999999GiB":       "memory",
	} {
		_, err := ParseURL(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want a word about %s", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "SEC") {
			t.Errorf("%s: the error has the secret: %v", raw, err)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                       "s3.amazonaws.com over TLS",
		"localhost:9000":         "localhost:9000 over TLS",
		"http://localhost:9000/": "localhost:9000",
		"https://s3.example":     "s3.example over TLS",
		"ftp://s3.example":       "",
		"http://":                "",
		"http://host/path":       "",
		"http://id:secret@host":  "",
	} {
		host, secure, err := (&Options{Endpoint: endpoint}).endpoint()
		if secure {
			host += " over TLS"
		}
		if (err != nil) != (want == "") || err == nil && host != want {
			t.Errorf("%q: %q, %v", endpoint, host, err)
		}
	}
}
