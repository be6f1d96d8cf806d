package cluster

import (
	"context"
	"net/url"
	"os"
	"path/filepath"

	"berth/conformance/internal/server"
	"berth/conformance/internal/tools"
)

// gateway is the S3 server.
var gateway = tools.Program{Module: "github.com/versity/versitygw", Version: "v1.8.0", Package: "cmd/versitygw"}

// What the S3 server is asked with.
const (
	AccessKey = "berth-conformance"
	SecretKey = "conformance-5Kx9"
	Bucket    = "berth"
)

// S3 is an S3 server that runs, with an empty bucket.
type S3 struct {
	*server.Process
	Addr string // host:port
	URL  string // of the bucket, as --storage takes it

	path string
	dir  string
}

// StartS3 serves dir, in which a bucket is a folder.
func StartS3(ctx context.Context, dir string) (*S3, error) {
	path, err := tools.Install(ctx, gateway)
	if err != nil {
		return nil, err
	}
	addr, err := server.FreeAddr()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, Bucket), 0o755); err != nil {
		return nil, err
	}
	s := &S3{Addr: addr, URL: BucketURL(addr), path: path, dir: dir}
	return s, s.Run(ctx)
}

// Run serves the folder, again after the server has ended.
func (s *S3) Run(ctx context.Context) (err error) {
	s.Process, err = server.Start(ctx, server.Command{
		Name:  "versitygw",
		Path:  s.path,
		Args:  []string{"--access", AccessKey, "--secret", SecretKey, "--port", s.Addr, "--quiet", "posix", s.dir},
		Log:   filepath.Join(filepath.Dir(s.dir), "s3.log"),
		Ready: server.Answers("http://" + s.Addr + "/"),
	})
	return err
}

// Stop ends the server.
func (s *S3) Stop() error {
	if s.Process == nil {
		return nil
	}
	return s.Process.Stop()
}

// Folder is where the objects of the bucket lie.
func (s *S3) Folder() string { return filepath.Join(s.dir, Bucket) }

// BucketURL is that of the bucket on the server at addr, or on a proxy in front of it.
func BucketURL(addr string) string {
	u := url.URL{
		Scheme: "s3",
		User:   url.UserPassword(AccessKey, SecretKey),
		Host:   Bucket,
		Path:   "/registry",
		RawQuery: url.Values{
			"endpoint": {"http://" + addr}, "region": {"us-east-1"}, "path-style": {"on"},
		}.Encode(),
	}
	return u.String()
}
