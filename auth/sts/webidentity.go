package sts

import (
	"context"
	"regexp"
	"strings"
	"time"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/oidc"
	"berth/registry"
)

// How long the session of a role may last.
const (
	maxRoleLife   = 12 * time.Hour
	usualRoleLife = time.Hour
)

var (
	arnPattern     = regexp.MustCompile(`^[\t\n\r\x{20}-\x{7E}\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+$`)
	sessionPattern = regexp.MustCompile(`^[\w+=,.@-]*$`)
)

// assumedRole is the result of AssumeRoleWithWebIdentity.
type assumedRole struct {
	Subject  string `xml:"SubjectFromWebIdentityToken"`
	Audience string
	User     struct {
		ID  string `xml:"AssumedRoleId"`
		ARN string `xml:"Arn"`
	} `xml:"AssumedRoleUser"`
	Credentials credentials
	Provider    string
}

// assumeRoleWithWebIdentity gives credentials of a role to whom its trust policy allows
// it. The request is not signed: the token says who asks.
func (c *call) assumeRoleWithWebIdentity() (any, error) {
	f, ctx := c.form, c.request.Context()
	e := Event{Action: "AssumeRoleWithWebIdentity", Role: registry.Clip(f.get("RoleArn")), Session: registry.Clip(f.get("RoleSessionName"))}
	result, err := c.assume(ctx, f, &e)
	e.Err = err
	c.opts.Audit(ctx, e)
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (c *call) assume(ctx context.Context, f form, e *Event) (result assumedRole, err error) {
	arn := f.text("RoleArn", 20, 2048, arnPattern, false)
	session := f.text("RoleSessionName", 2, 64, sessionPattern, false)
	token := f.text("WebIdentityToken", 4, oidc.MaxToken, nil, true)
	life := f.duration(accesskey.MinLifetime, maxRoleLife, usualRoleLife)
	if err := f.check(); err != nil {
		return result, err
	}
	for _, name := range []string{"Policy", "PolicyArns"} {
		if f.has(name) {
			return result, invalid("%s is not supported: the session of a role may do here what the role may; make a role that may do less", name)
		}
	}
	if f.has("ProviderId") {
		return result, invalid("ProviderId is not supported: the token must be one of OpenID Connect, which names its provider")
	}
	role, ok := c.opts.Location.RoleName(arn)
	if !ok {
		return result, invalid("%s is invalid: it should look like arn:aws:iam::%s:role/NAME", arn, c.opts.Location.AccountID())
	}
	who, err := c.opts.Identify(ctx, token)
	if err != nil {
		return result, err
	}
	e.Who, e.Issuer = who.Subject, who.Issuer
	p, err := c.opts.Assume(ctx, auth.Assumption{Role: role, Session: session, Who: who})
	if err != nil {
		return result, err
	}
	given, err := c.opts.Issue(accesskey.Session{
		Account: p.Name, Credential: p.Credential, Role: p.Name, Name: p.Session,
	}, life)
	if err != nil {
		return result, err
	}
	c.note.Principal = p
	e.Key, e.Expires = given.KeyID, given.Expires
	result = assumedRole{
		Subject: who.Subject, Audience: who.Audience[0], Credentials: newCredentials(given), Provider: c.provider(who.Issuer),
	}
	result.User.ID, result.User.ARN = p.UserID(), p.ARN(c.opts.Location)
	return result, nil
}

// provider is the ARN that IAM would give an issuer.
func (s *Server) provider(issuer string) string {
	_, host, _ := strings.Cut(issuer, "://")
	return "arn:aws:iam::" + s.opts.Location.AccountID() + ":oidc-provider/" + host
}
