package credhelper_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plain is a registry without TLS.
func plain(t *testing.T) *registry {
	r := newRegistry(t)
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// as has the helper find a registry under any name.
func (h home) as(r *registry) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.Listener.Addr().String())
	}
	h.Transport = t
}

func TestPlainHTTP(t *testing.T) {
	tls := newRegistry(t)
	r := plain(t)
	_, port, err := net.SplitHostPort(r.host())
	must(t, err)
	for _, test := range []struct {
		server, insecure string
		ok               bool
	}{
		{r.host(), "", true},
		{"localhost:" + port, "", true},
		{"registry.localhost:" + port, "", true},
		{"[::1]:" + port, "", true},
		{"localhost", "", true},
		{"127.1.2.3:" + port, "", true},
		{"10.0.0.1:" + port, "", false},
		{"registry.example.com:" + port, "", false},
		{"http://registry.example.com:" + port, "", false},
		{"localhost.example.com:" + port, "", false},
		{"registry.example.com:" + port, "1", true},
		{"registry.example.com:" + port, "0", false},
		{"registry.example.com:" + port, "perhaps", false},
	} {
		h := withKey(t, tls)
		h.as(r)
		h.env["BERTH_HELPER_INSECURE"] = test.insecure
		before := r.asked.Load()
		if test.ok {
			if _, err := h.Login(t.Context(), test.server); err != nil {
				t.Errorf("%s: %v", test.server, err)
			}
			continue
		}
		h.wantError(t, test.server, "BERTH_HELPER_INSECURE=1")
		if r.asked.Load() != before {
			t.Errorf("%s was asked in the clear", test.server)
		}
	}
}

// TestPortOfTheScheme: who names no port may mean that of http.
func TestPortOfTheScheme(t *testing.T) {
	r := plain(t)
	h := withKey(t, newRegistry(t))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !strings.HasSuffix(addr, ":80") {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, r.Listener.Addr().String())
	}
	h.Transport = transport
	h.wantLogin(t, "localhost", "login:of:env:1")
	h.wantError(t, "localhost:443", "connection refused")
	h.wantError(t, "registry.example.com", "connection refused")
}

// TestWrongCertificate: neither loopback nor BERTH_HELPER_INSECURE makes a certificate good.
func TestWrongCertificate(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	delete(h.env, "AWS_CA_BUNDLE")
	h.env["BERTH_HELPER_INSECURE"] = "1"
	h.wantError(t, r.host(), "certificate signed by unknown authority", "AWS_CA_BUNDLE")

	h.env["AWS_CA_BUNDLE"] = h.write(t, "empty.pem", "")
	h.wantError(t, r.host(), "has no certificates")
	h.env["AWS_CA_BUNDLE"] = h.dir + "/nowhere"
	h.wantError(t, r.host(), "AWS_CA_BUNDLE cannot be read")
	if r.asked.Load() != 0 {
		t.Error("it was asked all the same")
	}
}

func TestAnotherName(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	transport := r.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.Listener.Addr().String())
	}
	h.Transport = transport
	h.wantError(t, "registry.example.net", "certificate is valid for")
}

func TestHangingRegistry(t *testing.T) {
	for name, begin := range map[string]string{"before the answer": "", "in the answer": `{"authorizationData":`} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			stop := make(chan struct{})
			t.Cleanup(func() { close(stop) }) // before r is closed, which waits for it
			r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if begin != "" {
					w.Write([]byte(begin))
					w.(http.Flusher).Flush()
				}
				<-stop
			})
			h := withKey(t, r)
			h.Timeout = 300 * time.Millisecond
			begun := time.Now()
			h.wantError(t, r.host(), "no answer within 300ms")
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	// A listener that accepts and says nothing, not even in TLS.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	h := withKey(t, newRegistry(t))
	h.Timeout = 300 * time.Millisecond
	h.wantError(t, l.Addr().String(), "no answer within 300ms")
}

func TestNobodyThere(t *testing.T) {
	r := newRegistry(t)
	h := withKey(t, r)
	r.Close()
	h.wantError(t, r.host(), "cannot be reached", "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Login(ctx, r.host()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the end", err)
	}
}

func TestStrangeAnswers(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for name, test := range map[string]struct {
		status     int
		body, want string
	}{
		"a page":             {200, "<html>Welcome", "does the registry speak the API"},
		"no data":            {200, "{}", "does the registry speak the API"},
		"no base64":          {200, `{"authorizationData":[{"authorizationToken":"?"}]}`, "in base64"},
		"no password":        {200, `{"authorizationData":[{"authorizationToken":"QVdTOg=="}]}`, "in base64"},
		"no such page":       {404, "404 page not found", "404 Not Found; is it a registry"},
		"another host":       {307, "", "307 Temporary Redirect; is it a registry"},
		"denied":             {400, `{"__type":"AccessDeniedException","Message":"no"}`, "AccessDeniedException: no; the account must be allowed"},
		"overloaded":         {503, `{"__type":"ServerException:x","message":"later"}`, "ServerException: later"},
		"expired":            {400, `{"__type":"ExpiredTokenException","message":"over"}`, "get new temporary credentials"},
		"talkative":          {400, `{"__type":"X","message":"` + long + `"}`, "long …"},
		"on several lines":   {400, `{"__type":"X","message":"one\ntwo\u001b[31m"}`, "X: one two [31m"},
		"more than it wants": {200, strings.Repeat("x", 2<<20), "does the registry speak the API"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.example.com/")
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			})
			h := withKey(t, r)
			h.wantError(t, r.host(), test.want)
			if _, err := os.Stat(h.Cache); err == nil && len(h.logins(t)) > 0 {
				t.Error("something is remembered")
			}
		})
	}
}
