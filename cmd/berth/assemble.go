package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"berth/auth"
	"berth/auth/token"
	"berth/lifecycle"
	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/engine"
	"berth/registry/oci"
	"berth/scan"
	"berth/scan/database"
	"berth/scan/remote"
	"berth/storage/blob"
	"berth/storage/gc"
	"berth/storage/meta"
	"berth/storage/queue"
)

// parts are what the server is made of.
type parts struct {
	handler  http.Handler
	ready    *atomic.Bool
	requests *gate
	expire   func(context.Context, time.Time) error
	pulls    func(context.Context) // writes down when images were pulled, until it is stopped
	keyUse   func(context.Context) // likewise of access keys
	jobs     []*queue.Worker
	garbage  *gc.Sweeper
	pruner   *lifecycle.Pruner
	scans    *scan.Service
	scanner  http.Handler // for the scanner of this machine, which shows secret
	secret   string
	updater  *database.Updater // of vulnerability databases
	scrub    func(context.Context) error
	database *meta.DB
	blobs    blob.Store
	close    func(context.Context) error // the blob store
	first    func(context.Context) error // makes the first account, if need be
}

// assemble puts the registry together: engine, guard, faces.
func (cmd serveCommand) assemble(ctx context.Context, c console, log *slog.Logger, m *metrics, db *meta.DB) (parts, error) {
	blobs, closeBlobs, err := cmd.openBlobs(ctx, storeOptions{
		reserve: cmd.DiskReserve, memory: cmd.UploadMemory, observe: m.s3Request, log: log,
	})
	if err != nil {
		return parts{}, err
	}
	audit := auditLog{log: log, who: "berth"}
	eng := engine.New(db, m.store(blobs), engine.Options{
		CreateOnPush: cmd.CreateOnPush,
		AllowSparse:  matchAny(cmd.Sparse),
		Logger:       log,
	})
	access, err := auth.NewAccess(db, auth.Options{Location: cmd.location(), AnonymousPull: cmd.AnonymousPull, Refused: audit.refused})
	if err != nil {
		return parts{}, err
	}
	issuer, err := token.NewIssuer(db, token.Options{Service: cmd.Service, Access: cmd.TokenLifetime, Log: log})
	if err != nil {
		return parts{}, err
	}
	site := site{flags: cmd.serveFlags}
	if site.proxies, err = parseCIDRs(cmd.TrustedProxy); err != nil {
		return parts{}, err
	}
	networks, err := cmd.redirect()
	if err != nil {
		return parts{}, err
	}
	authenticator := &auth.Authenticator{Login: auth.NewLogin(access), Tokens: issuer, Passwords: issuer.VerifyLogin, Address: site.address}
	keys, err := cmd.signatures(db, site, log)
	if err != nil {
		return parts{}, err
	}
	var reg registry.Registry = eng
	if cmd.ReadOnly {
		reg = registry.ReadOnly(eng)
	}
	gates := scan.NewGatekeeper(db, nil)
	reg = scan.Gated(reg, gates, func(ctx context.Context, v scan.Verdict) {
		m.gated(v)
		audit.gated(ctx, v)
	})
	face := oci.New(auth.Guard(reg, access), oci.Options{
		Authenticate: authenticator.Principal,
		Greet:        access.Greet,
		Authorize:    access.Authorize,
		Address:      site.address,
		Secure:       site.secure,
		Challenge: func(r *http.Request, err error) string {
			return auth.Challenge{Realm: site.url(r) + "/token", Service: cmd.Service}.Header(err)
		},
		Location:       cmd.location(),
		Redirect:       site.redirects(networks),
		ChunkMinLength: chunkMinLength(cmd.storage()),
		StallTimeout:   cmd.StallTimeout,
		Logger:         log,
		Observe:        m.request,
	})
	p := parts{ready: new(atomic.Bool), requests: newGate(), database: db, blobs: blobs, close: closeBlobs}
	p.scans = cmd.scans(db, gates, m, log)
	scanners := scannerHandlers{service: p.scans, issuer: issuer, closing: p.requests.closing, readOnly: cmd.ReadOnly, log: log}
	face.Handle(remote.Prefix+"{rest:.*}", "scanner", scanners.public(authenticator, access))
	p.secret = rand.Text()
	p.scanner = p.requests.guard(scanners.private(face, p.secret))
	p.first = func(ctx context.Context) error { return ensureAdmin(ctx, c, db, cmd.AdminPassword, audit) }
	identities := cmd.webIdentities(access, audit)
	face.Handle("/token", "token", &token.Handler{Issuer: issuer, Access: access, Authenticator: authenticator, Exchange: identities.exchange})
	api := cmd.ecr(db, reg, eng, access, issuer, keys, p.scans, identities.sts(keys), site, networks, audit)
	face.Handle("/", "ecr", api)
	face.Handle(ecr.LayersPath+"{digest}", "layer", api.Layers(issuer.VerifyDownload))
	face.Handle("/.well-known/jwks.json", "keys", http.HandlerFunc(issuer.ServeKeys))
	p.handler = p.requests.guard(face)
	p.pulls = eng.RecordPulls
	p.keyUse = keys.run
	if p.pruner, err = cmd.pruner(db, m, log, p.requests.busy); err != nil {
		return parts{}, err
	}
	p.jobs = workers(db, m, log, eng, p.pruner)
	p.garbage = gc.NewSweeper(db, gc.Options{
		Grace: cmd.GCGrace, TagHistory: cmd.TagHistory, Logger: log, Observe: m.swept, Busy: p.requests.busy,
	})
	if p.updater, err = cmd.databaseUpdater(eng, db, log, db.AnyScan); err != nil {
		return parts{}, err
	}
	p.scrub = func(ctx context.Context) error {
		return eng.Scrub(ctx, engine.ScrubOptions{Every: cmd.scrubEvery(), Rate: cmd.ScrubRate, Observe: m.scrubbed})
	}
	m.countJobs(db)
	m.measureSpace(eng)
	m.measureDatabases(db)
	p.expire = func(ctx context.Context, before time.Time) error {
		return eng.ExpireUploads(ctx, before, false, func(x engine.Expired) {
			log.Info("abandoned upload removed", "upload", x.ID, "repository", x.Repository, "bytes", x.Bytes)
		})
	}
	return p, nil
}

// gate keeps count of the requests under way, so that the database stays open until the
// last has written down what it has to.
type gate struct {
	mu     sync.Mutex // held while a request comes in and while the gate is shut
	shut   bool
	inside sync.WaitGroup
	count  atomic.Int64 // of those inside whom somebody waits for

	closing chan struct{} // closed when nobody is to wait inside any longer
	hurried sync.Once
}

func newGate() *gate { return &gate{closing: make(chan struct{})} }

// hurry has those end who wait inside.
func (g *gate) hurry() { g.hurried.Do(func() { close(g.closing) }) }

// busy reports whether there are requests under way.
func (g *gate) busy() bool { return g.count.Load() > 0 }

// guard lets requests through to next until the gate is shut.
func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.enter() {
			http.Error(w, "berth is stopping", http.StatusServiceUnavailable)
			return
		}
		defer g.inside.Done()
		if !strings.HasPrefix(r.URL.Path, remote.Prefix) { // scanners do little but wait for work
			g.count.Add(1)
			defer g.count.Add(-1)
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside.Add(1)
	return true
}

// close shuts the gate and waits for those inside.
func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	g.inside.Wait()
}

// ensureAdmin creates the user admin if there is no account at all.
func ensureAdmin(ctx context.Context, c console, db *meta.DB, password string, audit auditLog) error {
	accounts, err := db.Accounts(ctx, "", "", 1)
	if err != nil || len(accounts) > 0 {
		return err
	}
	made := password == ""
	if made {
		password, _ = auth.NewSecret()
	}
	m := auth.Manager{Store: db, Changed: audit.changed}
	if _, err := m.CreateUser(ctx, "admin", password, auth.FullAccess); err != nil {
		if errors.Is(err, auth.ErrAccountExists) {
			return nil // another process was faster
		}
		return err
	}
	if made {
		_, err = fmt.Fprintf(c.err, "\n  Created the user admin with the password %s\n  It is shown only now. Log in with: docker login -u admin <address of this registry>\n\n", password)
	}
	return err
}

// site is the registry as clients see it.
type site struct {
	flags   serveFlags
	proxies []netip.Prefix
}

func parseCIDRs(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// url is what the client of r calls the registry, without a slash at the end.
func (s site) url(r *http.Request) string {
	if s.flags.PublicURL != "" {
		return strings.TrimSuffix(s.flags.PublicURL, "/")
	}
	scheme := "http"
	if s.secure(r) {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// secure reports whether r came over TLS, as far as berth or a trusted proxy can tell.
func (s site) secure(r *http.Request) bool {
	return r.TLS != nil || s.trusts(r) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// host is the one that the client of r has called: what a trusted proxy says, or else
// --public-url if it says nothing, since it may have put its own in the place of that.
func (s site) host(r *http.Request) string {
	if !s.trusts(r) {
		return r.Host
	}
	if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" {
		return forwarded
	}
	if _, host, ok := strings.Cut(strings.TrimSuffix(s.flags.PublicURL, "/"), "://"); ok {
		return host
	}
	return r.Host
}

// address is where r comes from: the last address of X-Forwarded-For that is not a
// trusted proxy, if a trusted proxy says so.
func (s site) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if !s.trusts(r) {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return host
		}
		host = hop.String()
		if !s.isProxy(hop) {
			return host
		}
	}
	return host
}

// redirects reports of a request whether its client is in one of the networks, or is
// nil if there are none.
func (s site) redirects(networks []netip.Prefix) func(*http.Request) bool {
	if len(networks) == 0 {
		return nil
	}
	return func(r *http.Request) bool {
		a, err := netip.ParseAddr(s.address(r))
		return err == nil && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
	}
}

func (s site) trusts(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.isProxy(a.Addr())
}

func (s site) isProxy(a netip.Addr) bool {
	for _, p := range s.proxies {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
