package s3

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
	"berth/storage/blob/blobtest"
	"berth/storage/blob/s3/s3test"
)

func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = time.Millisecond // or most of the time would be waiting
	flag.Set("rapid.checks", "30")            // each takes the server some hundred requests
	m.Run()
}

// openStore returns an empty store. change may be nil.
func openStore(t testing.TB, server *s3test.Server, change func(*Options)) *Store {
	t.Helper()
	o, err := ParseURL(server.URL(server.Bucket(t)))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	s := openStore(t, s3test.Start(t), func(o *Options) { o.Prefix = "a/b" })
	// The tests run at the same time, and the store is closed after the last.
	t.Run("Contract", func(t *testing.T) {
		blobtest.Run(t, func(*testing.T) blob.Store { return s })
	})
}
