package cluster

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"berth/conformance/internal/server"
)

// The S3 server, and the version that is tested with.
const (
	gatewayPackage = "github.com/versity/versitygw/cmd/versitygw"
	gatewayVersion = "v1.8.0"
)

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
	path, err := gateway(ctx)
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

// gateway finds the program, or builds it, which takes two minutes once.
func gateway(ctx context.Context) (string, error) {
	cache := os.Getenv("BERTH_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "berth")
	}
	path := filepath.Join(cache, "bin", "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Println("building versitygw", gatewayVersion)
	cmd := exec.CommandContext(ctx, "go", "install", gatewayPackage+"@"+gatewayVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s@%s: %w\n%s", gatewayPackage, gatewayVersion, err, out)
	}
	return path, nil
}
