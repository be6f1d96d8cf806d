package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/oidc"
	"berth/auth/sigv4"
	"berth/auth/sts"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/oci"
)

// webIdentities are those who come with the token of an identity provider.
type webIdentities struct {
	verifier *oidc.Verifier
	roles    *auth.Roles
	location auth.Location
	audit    auditLog
}

func (cmd serveCommand) webIdentities(access *auth.Access, audit auditLog) *webIdentities {
	roles := auth.NewRoles(access)
	return &webIdentities{
		verifier: oidc.NewVerifier(roles.Trusts, oidc.Options{AllowHTTP: cmd.OIDCAllowHTTP}),
		roles:    roles,
		location: cmd.location(),
		audit:    audit,
	}
}

// sts makes the face of the API of STS.
func (w *webIdentities) sts(keys *signatures) *sts.Server {
	return sts.New(sts.Options{
		Location: w.location,
		Verify: func(r *http.Request, body []byte) (sigv4.Signed[accesskey.Owner], error) {
			if keys.sts == nil {
				return sigv4.Signed[accesskey.Owner]{}, &sigv4.Error{
					Code: sigv4.UnrecognizedClient, Message: "The security token included in the request is invalid: " + noKeys,
				}
			}
			return keys.sts.Verify(r, body)
		},
		Identify: w.verifier.Verify,
		Assume:   w.roles.Assume,
		Issue: func(s accesskey.Session, lifetime time.Duration) (accesskey.Credentials, error) {
			if keys.issuer == nil {
				return accesskey.Credentials{}, &sts.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: noKeys}
			}
			return keys.issuer.Issue(s, lifetime)
		},
		Audit: w.audit.session,
		Noted: func(ctx context.Context, n sts.Note) {
			oci.Note(ctx, func(rec *oci.Record) { rec.Action, rec.Principal, rec.Err = n.Operation, n.Principal.Name, n.Err })
		},
	})
}

// exchange is for [token.Handler].Exchange. A role is named by its ARN or, here, by its
// name alone.
func (w *webIdentities) exchange(ctx context.Context, text, role string) (auth.Principal, error) {
	name := role
	if strings.HasPrefix(role, "arn:") {
		name, _ = w.location.RoleName(role) // what is none names no role
	}
	e := sts.Event{Action: "TokenExchange", Role: registry.Clip(role)}
	who, err := w.verifier.Verify(ctx, text)
	var p auth.Principal
	if err == nil {
		e.Who, e.Issuer, e.Session = who.Subject, who.Issuer, auth.SessionName(who.Subject)
		p, err = w.roles.Assume(ctx, auth.Assumption{Role: name, Session: e.Session, Who: who})
	}
	e.Err = err
	w.audit.session(ctx, e)
	return p, token.Refusal(err)
}
