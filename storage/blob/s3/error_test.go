package s3

import (
	"errors"
	"strings"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// TestOperator has the operator make mistakes. Clients are told to come back later, and no
// error has the secret.
func TestOperator(t *testing.T) {
	server := s3test.Start(t)
	for name, change := range map[string]func(*Options){
		"no server":    func(o *Options) { o.Endpoint = "http://127.0.0.1:1" },
		"no TLS":       func(o *Options) { o.Endpoint = "https://" + server.Endpoint },
		"no bucket":    func(o *Options) { o.Bucket = "elsewhere" },
		"wrong secret": func(o *Options) { o.SecretKey = "SECRET" },
		"wrong key":    func(o *Options) { o.AccessKey, o.SecretKey = "nobody", "SECRET" },
		"wrong region": func(o *Options) { o.Region = "eu-west-1" },
	} {
		s := openStore(t, server, change)
		var errs []error
		for _, n := range []int{small, big} {
			errs = append(errs, writeAll(t, s, blob.NewKey(), content(n)))
		}
		_, err := s.Open(t.Context(), blob.NewKey(), blob.Span{})
		errs = append(errs, err, s.Discard(t.Context(), blob.NewKey(), nil))
		_, err = s.Size(t.Context(), blob.NewKey())
		errs = append(errs, err)
		for i, err := range errs {
			if !errors.Is(err, blob.ErrUnavailable) || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), s3test.SecretKey) {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	for _, o := range []Options{
		{},
		{Bucket: "b", CA: "/no/such/file"},
		{Bucket: "b", Endpoint: "ftp://host"},
		{Bucket: "b", Memory: 1 << 20},
		{Bucket: "b", AccessKey: "id"},
	} {
		if _, err := Open(t.Context(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
