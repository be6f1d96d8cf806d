package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"berth/auth"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/oci"
	"berth/scan"
	"berth/scan/remote"
	"berth/storage/meta"
)

// scanFlags say how images are scanned.
type scanFlags struct {
	ScanRematch time.Duration `default:"2160h" help:"How long after its last push or pull an untagged image is matched with new vulnerability databases. Tagged ones always are."`
	ScanCache   int64         `default:"2147483648" help:"Bytes of the database for what scanners have found in layers, so that none is read twice."`
}

func (f scanFlags) check() error {
	if f.ScanRematch <= 0 {
		return fmt.Errorf("--scan-rematch must be more than zero, not %s", f.ScanRematch)
	}
	if f.ScanCache < 1 {
		return fmt.Errorf("--scan-cache must be more than zero, not %d", f.ScanCache)
	}
	return nil
}

// scans is the part of the registry that has images scanned.
func (cmd serveCommand) scans(db *meta.DB, gates *scan.Gatekeeper, m *metrics, log *slog.Logger) *scan.Service {
	s := scan.NewService(db, scan.Options{
		Rematch: cmd.ScanRematch, Layers: cmd.ScanCache, Except: gates.Except, Logger: log, Observe: m.scanned,
	})
	m.countScans(s)
	return s
}

// scannerHandlers make the handlers that scanners ask, one for those anywhere and one for that
// of this machine.
type scannerHandlers struct {
	service  *scan.Service
	issuer   *token.Issuer
	closing  <-chan struct{}
	readOnly bool
	log      *slog.Logger
}

func (d scannerHandlers) handler(authenticate func(*http.Request) error) http.Handler {
	return remote.NewHandler(d.service, remote.Options{
		Authenticate: func(r *http.Request) error {
			err := authenticate(r)
			if err == nil && d.readOnly {
				err = registry.ErrUnavailable.With("the registry can only be read for now, so nothing is scanned")
			}
			return err
		},
		Token: func(ctx context.Context, repos []registry.Name, life time.Duration) (string, error) {
			t, err := d.issuer.IssueScanner(ctx, repos, life)
			return t.Text, err
		},
		Closing: d.closing,
		Logger:  d.log,
	})
}

// public is for scanners anywhere, which have an account that may do ecr:ScanImages.
func (d scannerHandlers) public(a *auth.Authenticator, access *auth.Access) http.Handler {
	return d.handler(func(r *http.Request) error {
		p, err := a.Principal(r)
		oci.Note(r.Context(), func(rec *oci.Record) { rec.Principal, rec.Err = p.Name, err })
		if err != nil {
			return err
		}
		return access.Authorize(auth.WithPrincipal(r.Context(), p), auth.ScanImages, "")
	})
}

// private is for the scanner that this process has started: what takes no account, and pulls.
func (d scannerHandlers) private(face http.Handler, secret string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v2/", face)
	mux.Handle(remote.Prefix, d.handler(func(r *http.Request) error {
		shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(shown), []byte(secret)) != 1 {
			return registry.ErrUnauthorized.With("only the scanner that this registry has started may ask here")
		}
		return nil
	}))
	return mux
}

// scannerListener is where the scanner of this machine reaches the registry, without TLS and
// without an account.
type scannerListener struct {
	url    string // without a slash at the end
	secret string // which the scanner shows as a bearer token

	listener net.Listener
	server   *http.Server
}

func listenForScanner(h http.Handler, secret string, log *slog.Logger) (*scannerListener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a place for the scanner of this machine: %w", err)
	}
	return &scannerListener{
		url: "http://" + l.Addr().String(), secret: secret, listener: l,
		server: &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

func (l *scannerListener) serve() error { return l.server.Serve(l.listener) }

// close cuts off what the scanner is at. It begins anew with the next server, or another one.
func (l *scannerListener) close() { l.server.Close() }
