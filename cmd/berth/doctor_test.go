package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/storage/blob/s3/s3test"
	"berth/storage/checkup"
)

// serveForTest runs the program until the test ends and returns its flags and address.
func serveForTest(t *testing.T, more ...string) (flags []string, addr string) {
	t.Helper()
	addr = freeAddr(t)
	flags = append([]string{"--data", t.TempDir()}, more...)
	ctx, stop := context.WithCancel(context.Background())
	var log bytes.Buffer
	ended := make(chan int, 1)
	args := append([]string{"serve", "--addr", addr, "--admin-addr=", "--admin-password", "correct-horse"}, flags...)
	go func() { ended <- run(ctx, args, console{in: os.Stdin, out: io.Discard, err: &log}) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 || t.Failed() {
			t.Errorf("the server ended with %d: %s", code, log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get("http://" + addr + "/v2/"); err == nil {
			answer.Body.Close()
			return flags, addr
		}
	}
	t.Fatal("the server did not start")
	return nil, ""
}

// doctor runs berth doctor and returns its findings by name.
func doctor(t *testing.T, args ...string) (int, map[string]checkup.Finding) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), append([]string{"doctor", "-o", "json"}, args...), console{in: os.Stdin, out: &out, err: &errs})
	var d diagnosis
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
	found := map[string]checkup.Finding{}
	for _, f := range d.Findings {
		t.Log(line(f))
		found[f.Name] = f
	}
	return code, found
}

// front is a proxy in front of a registry.
type front struct {
	request func(*httputil.ProxyRequest)
	refuse  func(http.ResponseWriter, *http.Request) bool
	answer  func(*http.Response)
}

func (f front) start(t *testing.T, addr string) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addr})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			if f.request != nil {
				f.request(r)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if f.answer != nil {
				f.answer(r)
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.refuse == nil || !f.refuse(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func without(header string) front {
	return front{answer: func(r *http.Response) { r.Header.Del(header) }}
}

func refusing(status int, when func(*http.Request) bool) front {
	return front{refuse: func(w http.ResponseWriter, r *http.Request) bool {
		if when(r) {
			http.Error(w, "<html>refused by the proxy</html>", status)
		}
		return when(r)
	}}
}

func always(*http.Request) bool { return true }

func method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

func TestDoctorProxies(t *testing.T) {
	flags, addr := serveForTest(t, "--trusted-proxy", "127.0.0.1/32")
	for _, test := range []struct {
		name     string
		front    front
		finding  string
		severity checkup.Severity
		says     string
	}{
		{"healthy", front{}, "public body size", checkup.OK, "8.0 MiB arrive"},
		{"small bodies", refusing(413, func(r *http.Request) bool { return r.ContentLength > 1<<20 }), "public body size", checkup.Problem, "client_max_body_size 0"},
		{"cut off", front{refuse: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength <= 1<<20 {
				return false
			}
			io.CopyN(io.Discard, r.Body, 1<<20)
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return true
		}}, "public body size", checkup.Problem, "closes the connection after"},
		{"hangs up on large bodies", front{refuse: func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength <= 1<<20 {
				return false
			}
			conn, _, _ := w.(http.Hijacker).Hijack() // with bytes unread, so that the client is reset
			fmt.Fprint(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			conn.Close()
			return true
		}}, "public body size", checkup.Problem, "too large for the proxy (413)"},
		{"gives up", refusing(504, func(r *http.Request) bool { return r.ContentLength > 1<<20 }), "public body size", checkup.Problem, "proxy_read_timeout"},
		{"no digests", without("Docker-Content-Digest"), "public headers", checkup.Problem, "Docker-Content-Digest arrives as"},
		{"no locations", without("Location"), "public upload", checkup.Problem, "Location header"},
		{"other locations", front{answer: func(r *http.Response) {
			if l := r.Header.Get("Location"); l != "" {
				r.Header.Set("Location", "http://backend:5000"+l)
			}
		}}, "public upload", checkup.Problem, "proxy_redirect off"},
		{"no ranges in answers", without("Range"), "public upload", checkup.Problem, "Range header of the answer"},
		{"no ranges in requests", front{request: func(r *httputil.ProxyRequest) { r.Out.Header.Del("Range") }}, "public headers", checkup.Problem, "a part of a blob is answered 200"},
		{"another host", front{request: func(r *httputil.ProxyRequest) { r.Out.Host = "backend:5000" }}, "public challenge", checkup.Problem, "proxy_set_header Host"},
		{"another scheme", front{request: func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Forwarded-Proto", "https") }}, "public challenge", checkup.Problem, "--trusted-proxy"},
		{"no challenge", without("WWW-Authenticate"), "public challenge", checkup.Problem, "WWW-Authenticate"},
		{"a password of its own", front{refuse: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="intern"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return true
		}}, "public challenge", checkup.Problem, "auth_basic"},
		{"no registry behind", refusing(502, always), "public challenge", checkup.Problem, "see that berth runs"},
		{"a website", refusing(200, always), "public challenge", checkup.Problem, "is not what berth answers"},
		{"to https", front{refuse: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://elsewhere"+r.URL.Path, http.StatusMovedPermanently)
			return true
		}}, "public challenge", checkup.Problem, "redirected to https://elsewhere/v2/"},
		{"no tokens", refusing(404, func(r *http.Request) bool { return r.URL.Path == "/token" }), "public token", checkup.Problem, "pass on /token"},
		{"no HEAD", refusing(405, method("HEAD")), "public paths", checkup.Problem, "pass on HEAD"},
		{"decodes paths", front{request: func(r *httputil.ProxyRequest) { r.Out.URL.RawPath = "" }}, "public paths", checkup.Warning, "AllowEncodedSlashes"},
		{"no POST", refusing(403, method("POST")), "public upload", checkup.Problem, "limit_except"},
		{"no PATCH", refusing(405, method("PATCH")), "public upload", checkup.Problem, "pass on PATCH"},
		{"no DELETE", refusing(405, method("DELETE")), "public upload", checkup.Warning, "pass on DELETE"},
		{"no logins", front{request: func(r *httputil.ProxyRequest) {
			if r.In.URL.Path != "/token" {
				r.Out.Header.Del("Authorization")
			}
		}}, "public upload", checkup.Problem, "Authorization header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := test.front.start(t, addr)
			code, found := doctor(t, append([]string{"--public-url", base, "--user", "admin", "--password", "correct-horse", "--probe-size", "8388608"}, flags...)...)
			f := found[test.finding]
			if f.Severity != test.severity || !strings.Contains(f.Seen+" "+f.Advice, test.says) {
				t.Errorf("want a %s of %s with %q", test.severity, test.finding, test.says)
			}
			if want := map[bool]int{true: exitTrouble}[test.severity == checkup.Problem]; code != want {
				t.Errorf("it ended with %d", code)
			}
			for _, f := range found {
				if f.Severity == checkup.Problem && f.Name != test.finding {
					t.Errorf("also %s", line(f))
				}
			}
		})
	}
	t.Run("leaves nothing", func(t *testing.T) {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"gc", "--dry-run", "--upload-expiry", "1ns", "-o", "json", "--data", flags[1]}, console{out: &out, err: &out}); code != 0 {
			t.Fatal(out.String())
		}
		var left struct {
			Uploads []any `json:"uploads"`
		}
		if err := json.Unmarshal(out.Bytes(), &left); err != nil || len(left.Uploads) > 1 { // that of "no DELETE" cannot be cancelled
			t.Errorf("%s, %v", out.String(), err)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		_, found := doctor(t, append([]string{"--public-url", "http://" + addr, "--user", "admin", "--password", "guessed"}, flags...)...)
		if f := found["public token"]; f.Severity != checkup.Problem || !strings.Contains(f.Advice, "--password") {
			t.Error(line(f))
		}
	})
	t.Run("no proxy", func(t *testing.T) {
		_, found := doctor(t, append([]string{"--public-url", "http://127.0.0.1:1"}, flags...)...)
		if f := found["public url"]; f.Severity != checkup.Problem || !strings.Contains(f.Advice, "hairpin") {
			t.Error(line(f))
		}
		if f := found["public challenge"]; f.Severity != checkup.Skipped {
			t.Error(line(f))
		}
	})
}

// TestDoctorBucket has the checks of a bucket belong to those of the command.
func TestDoctorBucket(t *testing.T) {
	server := s3test.Start(t)
	data := t.TempDir()
	code, found := doctor(t, "--data", data, "--storage", server.URL(server.Bucket(t)))
	if f := found["s3 delete"]; code != 0 || f.Severity != checkup.OK {
		t.Errorf("%d, %s", code, line(f))
	}
	code, found = doctor(t, "--data", data, "--storage", server.URL("elsewhere"), "--redirect", "always")
	if f := found["s3 bucket"]; code != exitTrouble || f.Severity != checkup.Problem {
		t.Errorf("%d, %s", code, line(f))
	}
	code, found = doctor(t, "--data", data, "--storage", "s3://bucket?colour=blue")
	if f := found["storage"]; code != exitTrouble || !strings.Contains(f.Seen, "colour") {
		t.Errorf("%d, %s", code, line(f))
	}
}

func TestDoctorFolder(t *testing.T) {
	check := func(f folder) map[string]checkup.Finding {
		var c checkup.Checks
		f.check(t.Context(), &c)
		found := map[string]checkup.Finding{}
		for _, finding := range c.All() {
			t.Log(line(finding))
			found[finding.Name] = finding
		}
		return found
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := check(folder{name: "disk", path: file, blobs: true})["disk folder"]; f.Severity != checkup.Problem {
		t.Errorf("a file: %s", line(f))
	}
	if f := check(folder{name: "disk", path: filepath.Join(dir, "to", "be", "made")})["disk folder"]; f.Severity == checkup.Problem || !strings.Contains(f.Seen, "can be made") {
		t.Errorf("a folder that is not there: %s", line(f))
	}
	found := check(folder{name: "disk", path: dir, reserve: 1 << 60, blobs: true})
	if f := found["disk space"]; f.Severity != checkup.Problem || !strings.Contains(f.Advice, "507") {
		t.Errorf("less than the reserve: %s", line(f))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v are left, %v", left, err)
	}
	if os.Geteuid() != 0 {
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		if f := check(folder{name: "disk", path: locked})["disk folder"]; f.Severity != checkup.Problem || !strings.Contains(f.Advice, "chown") {
			t.Errorf("a folder of somebody else: %s", line(f))
		}
	} else if f := (folder{there: dir}).refused(os.ErrPermission); !strings.Contains(f.Advice, "chown") {
		t.Errorf("a folder of somebody else: %s", line(f))
	}
}

func TestDoctorJudgements(t *testing.T) {
	root := t.TempDir() + "/"
	for name, content := range map[string]string{"sys/fs/cgroup/memory.max": "536870912\n", "proc/meminfo": "MemTotal:        8000000 kB\n"} {
		if err := os.MkdirAll(filepath.Dir(root+name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := memory(root); n != 512<<20 {
		t.Errorf("memory: %d", n)
	}
	for name, f := range map[string]checkup.Finding{
		"memory for uploads": uploadMemory(300<<20, 512<<20),
		"open files":         openFiles(10000, 1024),
		"little space":       space(100<<20, 64<<20),
		"another service":    (&visitor{doctorCommand: doctorCommand{serveFlags: serveFlags{Service: "berth"}}, base: &url.URL{Scheme: "http", Host: "h"}}).judgeRealm("http://h/token", "harbor"),
	} {
		if f.Severity != checkup.Warning || f.Advice == "" {
			t.Errorf("%s: %s", name, line(f))
		}
	}
	for name, f := range map[string]checkup.Finding{
		"memory for uploads": uploadMemory(256<<20, 512<<20),
		"unknown memory":     uploadMemory(256<<20, 0),
		"open files":         openFiles(10000, 65536),
		"endless files":      openFiles(10000, 1<<64-1),
		"ample space":        space(100<<30, 64<<20),
	} {
		if f.Severity != checkup.OK {
			t.Errorf("%s: %s", name, line(f))
		}
	}
}
