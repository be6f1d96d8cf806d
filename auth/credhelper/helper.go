package credhelper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ErrNotFound says that there is nothing to log in with. docker knows it by this text and
// goes on without a login.
var ErrNotFound = errors.New("credentials not found in native keychain")

// Login is a name and a password at a registry.
type Login struct {
	Username string
	Secret   string
	Until    time.Time // when to ask for another; zero if nobody has said
}

// Helper finds logins. Its zero value has nothing to find them with.
type Helper struct {
	Getenv func(string) string // the environment

	Home   string // where .aws is; empty if there is no such folder
	Config string // folder of the logins that docker stores; empty if it cannot store any
	Cache  string // folder where logins are remembered that a registry has given; empty: nowhere

	Version string           // of berth
	Log     io.Writer        // for what goes wrong and keeps nobody from logging in; nil means nowhere
	Timeout time.Duration    // of what is asked of a registry; zero means 15 seconds
	Clock   func() time.Time // nil means time.Now

	// Transport reaches registries; nil means one that heeds the proxies of the environment
	// and AWS_CA_BUNDLE.
	Transport http.RoundTripper
}

// Login returns what to log in with at a registry, which is named by its host or by a URL.
//
// The first of these that is configured counts: the access key in AWS_ACCESS_KEY_ID, the
// web identity in AWS_WEB_IDENTITY_TOKEN_FILE, the profile AWS_PROFILE, the profile called
// default, what docker login has stored. Only the profile called default is passed over if
// the registry does not know its key: it may be meant for Amazon alone.
// Errors: ErrNotFound.
func (h *Helper) Login(ctx context.Context, server string) (Login, error) {
	at, err := parseHost(server)
	if err != nil {
		return Login{}, err
	}
	if at.isDockerHub() {
		return h.stored(server)
	}
	s, err := h.source()
	switch {
	case errors.Is(err, errUnconfigured):
		return h.stored(server)
	case err != nil:
		return Login{}, fmt.Errorf("logging in at %s: %w", at, err)
	}
	login, err := h.ask(ctx, at, s)
	if s.unnamed && isUnknownKey(err) {
		stored, storedErr := h.stored(server)
		if !errors.Is(storedErr, ErrNotFound) {
			return stored, storedErr
		}
	}
	if err != nil {
		return Login{}, fmt.Errorf("logging in at %s with %s: %w", at, s.name, err)
	}
	return login, nil
}

// ask returns what the registry has answered or answers now.
func (h *Helper) ask(ctx context.Context, at host, s source) (Login, error) {
	fetch := func() (Login, error) {
		c, err := h.client(at)
		if err != nil {
			return Login{}, err
		}
		// A program that is asked for keys has its own time.
		keys, err := s.keys(ctx, c)
		if err != nil {
			return Login{}, err
		}
		return c.authorizationToken(ctx, keys, s.region)
	}
	if s.identity == "" {
		return fetch()
	}
	return h.memory().remember(ctx, at, s.identity, fetch)
}

func (h *Helper) getenv(name string) string {
	if h.Getenv == nil {
		return ""
	}
	return h.Getenv(name)
}

func (h *Helper) now() time.Time {
	if h.Clock != nil {
		return h.Clock()
	}
	return time.Now()
}

// warn tells of what went wrong and keeps nobody from logging in.
func (h *Helper) warn(err error) {
	if h.Log != nil {
		fmt.Fprintf(h.Log, "berth: %v\n", err)
	}
}
