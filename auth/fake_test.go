package auth_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/auth/authtest"
	"berth/registry"
)

const blob = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

// fakeRegistry has one blob in some repositories and answers everything else with
// nothing and without an error. It counts what reaches it.
type fakeRegistry struct {
	registry.Refusing
	mu    sync.Mutex
	calls []string
	blobs map[registry.Name]bool
	names []registry.Name // all repositories, in order
}

func (f *fakeRegistry) called(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
}

// take returns the calls since it was last called.
func (f *fakeRegistry) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *fakeRegistry) StatBlob(context.Context, registry.Name, digest.Digest) (registry.Descriptor, error) {
	f.called("StatBlob")
	return registry.Descriptor{}, nil
}

func (f *fakeRegistry) BlobURL(context.Context, registry.Name, digest.Digest) (string, error) {
	f.called("BlobURL")
	return "", nil
}

func (f *fakeRegistry) OpenBlob(context.Context, registry.Name, digest.Digest, registry.Span) (registry.Blob, error) {
	f.called("OpenBlob")
	return registry.Blob{}, nil
}

func (f *fakeRegistry) StatManifest(context.Context, registry.Name, registry.Reference) (registry.Descriptor, error) {
	f.called("StatManifest")
	return registry.Descriptor{}, nil
}

func (f *fakeRegistry) Manifest(context.Context, registry.Name, registry.Reference) (registry.Manifest, error) {
	f.called("Manifest")
	return registry.Manifest{}, nil
}

func (f *fakeRegistry) StartUpload(context.Context, registry.Name, digest.Algorithm) (registry.Upload, error) {
	f.called("StartUpload")
	return registry.Upload{}, nil
}

func (f *fakeRegistry) Upload(context.Context, registry.Name, registry.UploadID) (registry.Upload, error) {
	f.called("Upload")
	return registry.Upload{}, nil
}

func (f *fakeRegistry) AppendUpload(context.Context, registry.Name, registry.UploadID, registry.Chunk) (registry.Upload, error) {
	f.called("AppendUpload")
	return registry.Upload{}, nil
}

func (f *fakeRegistry) FinishUpload(context.Context, registry.Name, registry.UploadID, registry.Chunk, digest.Digest) (registry.Descriptor, error) {
	f.called("FinishUpload")
	return registry.Descriptor{}, nil
}

func (f *fakeRegistry) CancelUpload(context.Context, registry.Name, registry.UploadID) error {
	f.called("CancelUpload")
	return nil
}

func (f *fakeRegistry) PutBlob(context.Context, registry.Name, registry.Chunk, digest.Digest) (registry.Descriptor, error) {
	f.called("PutBlob")
	return registry.Descriptor{}, nil
}

func (f *fakeRegistry) MountBlob(_ context.Context, _, from registry.Name, _ digest.Digest) (registry.Descriptor, error) {
	f.called("MountBlob from " + string(from))
	if !f.blobs[from] {
		return registry.Descriptor{}, registry.ErrBlobUnknown
	}
	return registry.Descriptor{Digest: blob}, nil
}

func (f *fakeRegistry) PutManifest(context.Context, registry.Name, registry.Manifest, []registry.Tag) (registry.Content, error) {
	f.called("PutManifest")
	return registry.Content{}, nil
}

func (f *fakeRegistry) DeleteTag(context.Context, registry.Name, registry.Tag) error {
	f.called("DeleteTag")
	return nil
}

func (f *fakeRegistry) DeleteManifest(context.Context, registry.Name, digest.Digest) error {
	f.called("DeleteManifest")
	return nil
}

func (f *fakeRegistry) DeleteBlob(context.Context, registry.Name, digest.Digest) error {
	f.called("DeleteBlob")
	return nil
}

func (f *fakeRegistry) Tags(context.Context, registry.Name, registry.Tag, int) ([]registry.Tag, error) {
	f.called("Tags")
	return nil, nil
}

func (f *fakeRegistry) Referrers(context.Context, registry.Name, registry.ReferrersQuery) ([]registry.Referrer, bool, error) {
	f.called("Referrers")
	return nil, false, nil
}

func (f *fakeRegistry) Repositories(_ context.Context, last registry.Name, limit int) ([]registry.Name, error) {
	f.called("Repositories")
	return page(f.names, last, limit), nil
}

func (f *fakeRegistry) BlobRepositories(_ context.Context, _ digest.Digest, last registry.Name, limit int) ([]registry.Name, error) {
	f.called("BlobRepositories")
	return page(slices.Sorted(maps.Keys(f.blobs)), last, limit), nil
}

func page(names []registry.Name, last registry.Name, limit int) []registry.Name {
	var list []registry.Name
	for _, n := range names {
		if n > last && len(list) < limit {
			list = append(list, n)
		}
	}
	return list
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a store with accounts, and the access to it.
type world struct {
	store   *authtest.Store
	manager *auth.Manager
	access  *auth.Access
	clock   *clock
}

func newWorld(t testing.TB, anonymousPull ...string) *world {
	t.Helper()
	w := &world{store: authtest.NewStore(), clock: newClock()}
	w.manager = &auth.Manager{Store: w.store, Clock: w.clock.Now}
	var err error
	w.access, err = auth.NewAccess(w.store, auth.Options{AnonymousPull: anonymousPull, Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// user adds a user whose hash is no password's and attaches policies: names of
// managed ones, or statements.
func (w *world) user(t testing.TB, name string, policies ...string) auth.Principal {
	t.Helper()
	ctx := t.Context()
	a := auth.Account{Name: name, Kind: auth.User, PasswordHash: "none", CreatedAt: w.clock.Now()}
	must(t, w.store.CreateAccount(ctx, a))
	for _, p := range policies {
		if !auth.IsManaged(p) {
			statement := p
			p = name + "-policy-" + digest.FromString(statement).Encoded()[:8]
			must(t, w.manager.PutPolicy(ctx, p, document(statement)))
		}
		must(t, w.manager.Attach(ctx, name, p))
	}
	return auth.Principal{Name: name, Kind: auth.User, Credential: a.Fingerprint()}
}

// limited is p with a token for scopes.
func limited(t testing.TB, p auth.Principal, scopes string) auth.Principal {
	t.Helper()
	parsed, err := auth.ParseScopes(scopes)
	must(t, err)
	p.Limited, p.Scopes = true, parsed
	return p
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
