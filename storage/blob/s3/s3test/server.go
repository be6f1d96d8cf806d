// Package s3test starts an S3 server for tests: versitygw, which keeps its buckets as
// folders. It is looked for in $PATH and in berth/bin in the cache folder of the user,
// where it is built the first time, which takes some minutes.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// What every server answers to.
const (
	AccessKey = "berth"
	SecretKey = "not-a-secret"
	Region    = "us-east-1"
)

// Server is an S3 server that runs until the test that started it ends.
type Server struct {
	Endpoint string // host:port; HTTP, not HTTPS
	dir      string
	buckets  atomic.Int64
}

// Start starts a server with no buckets. Tests that run at the same time may share one:
// the start takes a tenth of a second.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := find()
	if err != nil {
		t.Fatalf("s3test: no S3 server to test against: %v", err)
	}
	// Another process may take the port before the server has it.
	for range 5 {
		s := &Server{dir: t.TempDir()}
		if err = s.run(t, program); err == nil {
			return s
		}
	}
	t.Fatalf("s3test: %v", err)
	return nil
}

// Bucket makes an empty bucket and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket%d", s.buckets.Add(1))
	if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
		t.Fatalf("s3test: %v", err)
	}
	return name
}

// URL names a bucket of this server and how to get into it, in the form that the s3
// driver parses.
func (s *Server) URL(bucket string) string {
	return fmt.Sprintf("s3://%s:%s@%s?endpoint=http://%s&region=%s", AccessKey, SecretKey, bucket, s.Endpoint, Region)
}

// script runs its arguments until its standard input is closed, which happens even if the
// test dies.
const script = `
exec 3<&0
"$@" 3<&- &
server=$!
{ read line <&3; kill -9 $server; } >/dev/null 2>&1 &
wait $server
`

// run starts the server and waits until it answers.
func (s *Server) run(t testing.TB, program string) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Endpoint = free.Addr().String()
	free.Close()

	var output bytes.Buffer
	server := exec.Command("sh", "-c", script, "sh", program,
		"--access", AccessKey, "--secret", SecretKey, "--region", Region,
		"--port", s.Endpoint, "--quiet", "posix", s.dir)
	server.Stdout, server.Stderr = &output, &output
	line, err := server.StdinPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		server.Wait()
		close(ended)
	}()
	stop := func() {
		line.Close()
		<-ended
	}
	if err := s.await(ended); err != nil {
		stop()
		return fmt.Errorf("%s: %w: %s", program, err, output.Bytes())
	}
	t.Cleanup(stop)
	return nil
}

// await returns once the server answers, if only that the question is not signed.
func (s *Server) await(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Endpoint, nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(request); err == nil {
			answer.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the server has ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
