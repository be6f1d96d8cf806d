package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/sigv4"
	"berth/auth/sts"
	"berth/auth/token"
	"berth/registry"
	"berth/registry/ecr"
	"berth/registry/engine"
	"berth/registry/oci"
	"berth/scan"
	"berth/storage/meta"
)

// signatures finds out who has signed a request to the API of ECR.
type signatures struct {
	verifier *sigv4.Verifier[accesskey.Owner] // of those for ECR; nil if there are no access keys
	sts      *sigv4.Verifier[accesskey.Owner] // of those for STS
	issuer   *accesskey.Issuer                // of temporary keys
	usage    *accesskey.Usage
}

// signatures are those of access keys, unless there is no secret for them: then everyone
// is told so who comes with one.
func (cmd serveCommand) signatures(db *meta.DB, site site, log *slog.Logger) (*signatures, error) {
	sealer, err := cmd.sealer(cmd.dataFlags)
	if errors.Is(err, errNoSecret) {
		log.Warn("the API of ECR takes no access keys", "reason", err)
		return &signatures{}, nil
	}
	if err != nil {
		return nil, err
	}
	usage := accesskey.NewUsage(db, nil, log)
	verifier := sigv4.Verifier[accesskey.Owner]{
		Keys:     accesskey.NewKeys(db, db, sealer, nil),
		Services: []string{"ecr"},
		Region:   cmd.Region,
		Host:     site.host,
		Secure:   site.secure,
		Used:     usage.Used,
	}
	forSTS := verifier
	forSTS.Services = []string{sts.Service}
	return &signatures{verifier: &verifier, sts: &forSTS, issuer: &accesskey.Issuer{Sealer: sealer}, usage: usage}, nil
}

// noKeys is what is told of access keys where there are none.
const noKeys = "this registry has no access keys; its operator can turn them on with --secret-key"

// authenticate is for [ecr.Options].Authenticate.
func (s *signatures) authenticate(r *http.Request, body []byte) (auth.Principal, error) {
	if s.verifier == nil {
		return auth.Nobody, &ecr.Error{
			Status: http.StatusBadRequest, Type: "UnrecognizedClientException",
			Message: "The security token included in the request is invalid: " + noKeys,
		}
	}
	signed, err := s.verifier.Verify(r, body)
	if err != nil {
		return auth.Nobody, signatureError(err)
	}
	return signed.Owner.Principal(), nil
}

// screen is for [ecr.Options].Screen.
func (s *signatures) screen(r *http.Request) error {
	if s.verifier == nil {
		return nil // authenticate says why
	}
	return signatureError(s.verifier.Screen(r))
}

// signatureError is err in the words of ECR, if a signature is at fault.
func signatureError(err error) error {
	if refused, ok := errors.AsType[*sigv4.Error](err); ok {
		return &ecr.Error{Status: refused.Code.JSONStatus, Type: refused.Code.JSON, Message: refused.Message}
	}
	return err
}

// run notes when keys were last used.
func (s *signatures) run(ctx context.Context) {
	if s.usage != nil {
		s.usage.Run(ctx)
	}
}

// ecr makes the face of the API of ECR.
func (cmd serveCommand) ecr(db *meta.DB, reg registry.Registry, eng *engine.Engine, access *auth.Access, issuer *token.Issuer,
	keys *signatures, scans scan.Scans, query http.Handler, site site, networks []netip.Prefix, audit auditLog,
) *ecr.Server {
	return ecr.New(reg, eng, ecr.Options{
		Location:     cmd.location(),
		Authenticate: keys.authenticate,
		Screen:       keys.screen,
		Authorize:    access.Authorize,
		May:          access.May,
		Visible:      access.Visible,
		Password: func(ctx context.Context, p auth.Principal) (string, time.Time, error) {
			t, err := issuer.IssueLogin(ctx, p, p.Expires)
			return t.Text, t.IssuedAt.Add(t.Life), err
		},
		Endpoint: site.url,
		Redirect: site.redirects(networks),
		LayerURL: func(ctx context.Context, endpoint string, repo registry.Name, d digest.Digest) (string, error) {
			t, err := issuer.IssueDownload(ctx, repo, d)
			return ecr.LayerURL(endpoint, d, t.Text), err
		},
		Policies: policyParser{access, db, cmd.location()},
		Scans:    scans,
		Query:    query,
		Changed:  audit.images,
		ReadOnly: cmd.ReadOnly,
		Noted: func(ctx context.Context, n ecr.Note) {
			oci.Note(ctx, func(rec *oci.Record) {
				rec.Action, rec.Principal, rec.Repository, rec.Err = n.Operation, n.Principal.Name, n.Repository, n.Err
			})
		},
	})
}
