package token_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"berth/auth"
	"berth/auth/oidc"
	"berth/auth/token"
)

func TestExchange(t *testing.T) {
	e := newEndpoint(t)
	trust, err := auth.TrustDocument("https://gitlab.example.com", []string{"berth"}, nil)
	must(t, err)
	role, err := e.manager.CreateRole(t.Context(), "build", trust, auth.PowerUser)
	must(t, err)
	faults := map[string]error{
		"bad":     &oidc.Error{Code: oidc.Invalid, Message: "it is bad"},
		"down":    &oidc.Error{Code: oidc.Unreachable, Message: "it is down"},
		"refused": fmt.Errorf("%w: the reason", auth.ErrRoleRefused),
		"fault":   errors.New("the database is gone"),
	}
	h := &token.Handler{
		Issuer: e.issuer, Access: e.access, Authenticator: &auth.Authenticator{Login: auth.NewLogin(e.access), Tokens: e.issuer},
		Exchange: func(_ context.Context, text, name string) (auth.Principal, error) {
			if err := faults[text]; err != nil || name != "build" || text != "good" {
				return auth.Nobody, token.Refusal(err)
			}
			return auth.Principal{Name: "build", Kind: auth.Role, Credential: role.Fingerprint(), Session: "run-17"}, nil
		},
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	e.Server = server

	good := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"good"}, "role": {"build"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "scope": {"repository:a/b:pull,push,delete"},
		"access_type": {"offline"},
	}
	ask := func(change url.Values) answer {
		form := maps.Clone(good)
		maps.Copy(form, change)
		return e.post(t, form)
	}
	for name, change := range map[string]url.Values{
		"a role":                            nil,
		"an ID token":                       {"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}},
		"an audience":                       {"role": nil, "audience": {"build"}},
		"what the RFC calls what is wanted": {"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"}},
	} {
		a := ask(change)
		if a.Status != http.StatusOK || a.Scope != "repository:a/b:pull,push" || a.RefreshToken != "" {
			t.Errorf("%s: %+v", name, a)
			continue
		}
		p, err := e.issuer.Verify(t.Context(), a.AccessToken)
		must(t, err)
		if p.String() != "role build/run-17" || !p.Limited {
			t.Errorf("%s: it is for %s", name, p)
		}
		ctx := auth.WithPrincipal(t.Context(), p)
		must(t, e.access.Authorize(ctx, auth.PutImage, "a/b"))
		if e.access.Authorize(ctx, auth.PutImage, "a/c") == nil {
			t.Errorf("%s: it is good for what it is not", name)
		}
	}
	for _, test := range []struct {
		name   string
		change url.Values
		status int
	}{
		{"no token", url.Values{"subject_token": nil}, 400},
		{"a token of another kind", url.Values{"subject_token_type": {"urn:ietf:params:oauth:token-type:saml2"}}, 400},
		{"no kind", url.Values{"subject_token_type": nil}, 400},
		{"no role", url.Values{"role": nil}, 400},
		{"two roles", url.Values{"role": {"build", "admin"}}, 400},
		{"two tokens", url.Values{"subject_token": {"good", "bad"}}, 400},
		{"somebody else's doing", url.Values{"actor_token": {"x"}}, 400},
		{"a refresh token", url.Values{"requested_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"}}, 400},
		{"a bad token", url.Values{"subject_token": {"bad"}}, 401},
		{"refused", url.Values{"subject_token": {"refused"}}, 403},
		{"an issuer that is down", url.Values{"subject_token": {"down"}}, 503},
		{"a fault", url.Values{"subject_token": {"fault"}}, 500},
	} {
		if a := ask(test.change); a.Status != test.status || a.Token != "" || len(a.Errors) != 1 {
			t.Errorf("%s: %+v", test.name, a)
		}
	}
	h.Exchange = nil
	if a := ask(nil); a.Status != http.StatusBadRequest {
		t.Errorf("without roles: %+v", a)
	}
}
