package token

import (
	"context"
	"errors"
	"net/url"

	"berth/auth"
	"berth/auth/oidc"
	"berth/registry"
)

// The words of RFC 8693, by which the token of an identity provider is exchanged for one
// of the registry.
const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
	jwtType         = "urn:ietf:params:oauth:token-type:jwt"
)

// exchange finds out who comes with the token of an identity provider. The role that it
// takes on is named by role or, for clients that send nothing but the words of the RFC,
// by audience.
func (h *Handler) exchange(ctx context.Context, form url.Values) (auth.Principal, error) {
	for _, name := range []string{"subject_token", "subject_token_type", "role", "audience", "actor_token", "requested_token_type"} {
		if len(form[name]) > 1 {
			return auth.Nobody, registry.ErrUnsupported.With("the form has %s more than once", name)
		}
	}
	role := form.Get("role")
	if role == "" {
		role = form.Get("audience")
	}
	kind, wanted := form.Get("subject_token_type"), form.Get("requested_token_type")
	switch {
	case h.Exchange == nil:
		return auth.Nobody, registry.ErrUnsupported.With("there are no roles to exchange tokens for")
	case form.Get("subject_token") == "" || kind != idTokenType && kind != jwtType:
		return auth.Nobody, registry.ErrUnsupported.With("the form needs a subject_token, whose subject_token_type is %s or %s", idTokenType, jwtType)
	case form.Has("actor_token") || wanted != "" && wanted != accessTokenType:
		return auth.Nobody, registry.ErrUnsupported.With("a subject_token is exchanged for an %s; an actor_token is not known here", accessTokenType)
	case role == "":
		return auth.Nobody, registry.ErrUnsupported.With("the form needs a role, to be taken on: its name or ARN")
	}
	return h.Exchange(ctx, form.Get("subject_token"), role)
}

// Refusal is what the endpoint says of an error of package oidc or of [auth.Roles].
func Refusal(err error) error {
	if errors.Is(err, auth.ErrRoleRefused) {
		// Always in these words: who asks does not learn whether there is such a role.
		return registry.ErrDenied.With("the subject_token is good, and does not allow to take on the role")
	}
	e, ok := errors.AsType[*oidc.Error](err)
	switch {
	case !ok:
		return err
	case e.Code == oidc.Unreachable:
		return registry.ErrUnavailable.With("%s", e.Message)
	}
	return registry.ErrUnauthorized.With("%s", e.Message)
}
