package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"berth/auth"
	"berth/registry"
)

// Bounds of what an issuer answers. Those of GitHub and GitLab have some kilobytes.
const (
	maxDiscovery = 64 << 10
	maxKeySet    = 512 << 10
)

// fetcher asks issuers for their keys.
type fetcher struct {
	client    *http.Client
	timeout   time.Duration
	allowHTTP bool
}

func newFetcher(o Options) fetcher {
	return fetcher{
		allowHTTP: o.AllowHTTP,
		timeout:   cmp.Or(o.Timeout, 5*time.Second),
		client: &http.Client{
			Transport: o.Transport,
			// An issuer stands for what it answers itself.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// keys returns those that an issuer publishes.
func (f fetcher) keys(ctx context.Context, issuer string) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	secure, err := f.check(issuer)
	if err != nil {
		return nil, err
	}
	b, err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", maxDiscovery)
	if err != nil {
		return nil, err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(b, &discovery); err != nil {
		return nil, fmt.Errorf("the openid-configuration is not valid: %w", err)
	}
	if discovery.Issuer != issuer {
		return nil, fmt.Errorf("the openid-configuration is that of the issuer %q", registry.Clip(discovery.Issuer))
	}
	// Who is asked over TLS does not send us where there is none.
	if keysSecure, err := f.check(discovery.Keys); err != nil || secure && !keysSecure {
		return nil, cmp.Or(err, fmt.Errorf("the jwks_uri %q is not https", registry.Clip(discovery.Keys)))
	}
	if b, err = f.get(ctx, discovery.Keys, maxKeySet); err != nil {
		return nil, err
	}
	return parseKeys(b)
}

// check says whether a URL may be asked, and reports whether it is https.
func (f fetcher) check(raw string) (secure bool, err error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return false, fmt.Errorf("%q is no URL to ask", registry.Clip(raw))
	case u.Scheme == "https":
		return true, nil
	case u.Scheme == "http" && (f.allowHTTP || auth.IsLoopback(u)):
		return false, nil
	}
	return false, fmt.Errorf("%q is not https: somebody between could change the keys", registry.Clip(raw))
}

// get reads what a URL has, of at most limit bytes.
func (f fetcher) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "berth")
	resp, err := f.client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s: %w", f.timeout, err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", url, err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%s answers with more than %d bytes", url, limit)
	}
	return b, nil
}
