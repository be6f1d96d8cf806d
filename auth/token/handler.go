package token

import (
	"context"
	"net/http"
	"net/url"

	"berth/auth"
	"berth/registry"
)

// maxForm bounds the body of a POST: scopes and a refresh token are the most of it.
const maxForm = 64 << 10

// Handler is the token endpoint: GET with Basic credentials or none, POST with the
// form of OAuth 2.
type Handler struct {
	Issuer        *Issuer
	Access        *auth.Access
	Authenticator *auth.Authenticator

	// Exchange returns the session of a role for who bears the token of an identity
	// provider; nil if there are no roles. Errors: those of [Refusal].
	Exchange func(ctx context.Context, token, role string) (auth.Principal, error)
}

// request is what a client asks for.
type request struct {
	principal auth.Principal
	scopes    []string
	offline   bool   // it wants a refresh token
	refresh   string // the refresh token it came with
	exchanged bool   // it came with the token of an identity provider
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	var q request
	var err error
	switch r.Method {
	case http.MethodGet:
		q, err = h.parseGet(r)
	case http.MethodPost:
		q, err = h.parsePost(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var a answer
	if err == nil {
		a, err = h.answer(r, q)
	}
	if err != nil {
		h.Issuer.writeError(w, r, err)
		return
	}
	_ = writeJSON(w, http.StatusOK, a) // a client that went away misses it
}

func (h *Handler) parseGet(r *http.Request) (request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return request{}, registry.ErrUnsupported.With("the query of the request is not valid")
	}
	if err := h.checkService(query); err != nil {
		return request{}, err
	}
	p, err := h.Authenticator.Basic(r)
	return request{principal: p, scopes: query["scope"], offline: query.Get("offline_token") == "true"}, err
}

func (h *Handler) parsePost(w http.ResponseWriter, r *http.Request) (request, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return request{}, registry.ErrUnsupported.With("the form in the request is not valid: %v", err)
	}
	form := r.PostForm // not the query, which ends up in the logs of proxies
	if err := h.checkService(form); err != nil {
		return request{}, err
	}
	q := request{scopes: form["scope"], offline: form.Get("access_type") == "offline"}
	var err error
	switch grant := form.Get("grant_type"); grant {
	case "password":
		q.principal, err = h.Authenticator.Check(r, form.Get("username"), form.Get("password"))
	case "refresh_token":
		q.refresh = form.Get("refresh_token")
		q.principal, err = h.Issuer.VerifyRefresh(r.Context(), q.refresh)
	case exchangeGrant:
		q.exchanged = true
		q.principal, err = h.exchange(r.Context(), form)
	default:
		err = registry.ErrUnsupported.With("the grant_type must be password, refresh_token or %s", exchangeGrant)
	}
	return q, err
}

// checkService refuses who asks for another service than this. Some clients leave it
// out where they were told none.
func (h *Handler) checkService(values url.Values) error {
	if s := values.Get("service"); s != "" && s != h.Issuer.Service() {
		return registry.ErrUnsupported.With("this is the token endpoint of the service %q and of no other", h.Issuer.Service())
	}
	return nil
}

// answer gives what was asked for as far as the policies allow it. Less is not an
// error: the registry says what is missing when it is asked for it.
func (h *Handler) answer(r *http.Request, q request) (answer, error) {
	ctx := r.Context()
	wanted, err := auth.ParseScopes(q.scopes...)
	if err != nil {
		return answer{}, err
	}
	granted, err := h.Access.Granted(ctx, q.principal, wanted)
	if err != nil {
		return answer{}, err
	}
	t, err := h.Issuer.Issue(ctx, q.principal, granted)
	if err != nil {
		return answer{}, err
	}
	a := answer{
		Token: t.Text, AccessToken: t.Text, Scope: auth.FormatScopes(granted),
		ExpiresIn: int(t.Life.Seconds()), IssuedAt: t.IssuedAt, RefreshToken: q.refresh,
	}
	if q.exchanged {
		a.TokenType, a.IssuedTokenType = "Bearer", accessTokenType
	}
	if q.offline && q.refresh == "" && MayRefresh(q.principal) {
		refresh, err := h.Issuer.IssueRefresh(ctx, q.principal)
		if err != nil {
			return answer{}, err
		}
		a.RefreshToken = refresh.Text
	}
	return a, nil
}
