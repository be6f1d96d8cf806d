package auth

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"berth/registry"
)

// maxIssuer bounds the URL of an identity provider, as IAM does.
const maxIssuer = 255

// ParseTrust reads the trust policy of a role in IAM's JSON, as strictly as [ParsePolicy].
// Who trusts an identity provider must say for which audience its tokens have to be, and
// of one that anybody can get tokens from also whose. It answers ErrPolicyInvalid.
func ParseTrust(document string) (*Trust, error) {
	t := &Trust{Document: document}
	var err error
	if t.statements, err = parseTrust(document); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicyInvalid, err)
	}
	return t, nil
}

func parseTrust(document string) ([]trustStatement, error) {
	d, b, err := TrustPolicy.openDocument(document)
	if err != nil {
		return nil, err
	}
	list, err := splitStatement(b)
	if err != nil {
		return nil, err
	}
	statements := make([]trustStatement, 0, len(list))
	allows := false
	for i, b := range list {
		s, err := d.trustStatement(b, fmt.Sprintf("#%d", i+1))
		if err != nil {
			return nil, fmt.Errorf("in Statement #%d: %w", i+1, err)
		}
		allows = allows || s.effect == Allow
		statements = append(statements, s)
	}
	if !allows {
		return nil, fmt.Errorf("no statement allows anybody to take on the role")
	}
	return statements, nil
}

func (d dialect) trustStatement(b json.RawMessage, label string) (s trustStatement, err error) {
	members, err := registry.Members(b)
	if err != nil {
		return s, err
	}
	if err := onlyMembers(members, "Sid", "Effect", "Principal", "Action", "Condition"); err != nil {
		return s, err
	}
	sid, err := parseSid(members)
	if err != nil {
		return s, err
	}
	if s.label = label; sid != "" {
		s.label = sid
	}
	if s.effect, err = parseEffect(members); err != nil {
		return s, err
	}
	if s.anyone, s.issuers, err = parseFederated(members["Principal"]); err != nil {
		return s, err
	}
	if s.anyone && s.effect == Allow {
		return s, fmt.Errorf(`the Principal "*" is everybody, which only a Deny may name: name an identity provider, as in {"Federated": "https://gitlab.com"}`)
	}
	if err := checkAssume(members["Action"]); err != nil {
		return s, err
	}
	if members["Condition"] != nil {
		if s.conditions, err = d.parseConditions(members["Condition"]); err != nil {
			return s, err
		}
	}
	if s.effect == Allow {
		err = s.checkNarrow()
	}
	return s, err
}

// checkAssume looks at the Action, of which there is one.
func checkAssume(b json.RawMessage) error {
	if b == nil {
		return fmt.Errorf("the Action is missing; it should be %q", assumeRole)
	}
	patterns, err := decodeStrings(b)
	if err != nil {
		return fmt.Errorf("the Action %w", err)
	}
	for _, p := range patterns {
		if !MatchWildcard(strings.ToLower(p), strings.ToLower(assumeRole)) {
			return fmt.Errorf("the action %q is not known here: roles are taken on with %s and with nothing else", registry.Clip(p), assumeRole)
		}
	}
	return nil
}

// parseFederated reads the Principal: "*", or identity providers.
func parseFederated(b json.RawMessage) (anyone bool, issuers []string, err error) {
	const shape = `it should look like {"Federated": "https://gitlab.com"}`
	switch {
	case b == nil:
		return false, nil, fmt.Errorf("the Principal is missing; %s", shape)
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil || s != "*" {
			return false, nil, fmt.Errorf("the Principal %q is not known here; %s", registry.Clip(s), shape)
		}
		return true, nil, nil
	}
	members, err := registry.Members(b)
	if err != nil {
		return false, nil, fmt.Errorf("the Principal %w", err)
	}
	if err := onlyMembers(members, "Federated"); err != nil || len(members) == 0 {
		return false, nil, fmt.Errorf("the Principal names no identity provider; %s. Accounts and services cannot take on roles here", shape)
	}
	list, err := decodeStrings(members["Federated"])
	if err != nil {
		return false, nil, fmt.Errorf("the Federated %w", err)
	}
	for _, s := range list {
		issuer, err := ParseIssuer(s)
		if err != nil {
			return false, nil, err
		}
		if !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	return false, issuers, nil
}

// ParseIssuer reads the name of an identity provider: its URL, as the iss of its tokens
// has it, or arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH, which means https. It returns
// the URL. That it is not https is for those to refuse who connect to it.
func ParseIssuer(s string) (string, error) {
	bad := func(why string) (string, error) {
		return "", fmt.Errorf("the identity provider %q %s; one looks like https://gitlab.com or arn:aws:iam::ACCOUNT:oidc-provider/gitlab.com",
			registry.Clip(s), why)
	}
	issuer := s
	if strings.HasPrefix(s, "arn:") {
		parts := strings.SplitN(s, ":", 6)
		if len(parts) != 6 || parts[1] != "aws" || parts[2] != "iam" || parts[3] != "" || !isAccountID(parts[4]) {
			return bad("has no account of twelve digits")
		}
		host, ok := strings.CutPrefix(parts[5], "oidc-provider/")
		if !ok {
			return bad("is not one of OpenID Connect")
		}
		issuer = "https://" + host
	}
	u, err := url.Parse(issuer)
	switch {
	case len(issuer) > maxIssuer:
		return bad(fmt.Sprintf("has more than %d characters", maxIssuer))
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return bad("is no URL")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#") || u.String() != issuer:
		return bad("has more than host and path, or is written in an unusual way")
	}
	return issuer, nil
}

// IsLoopback reports whether the host of a URL is this machine, so that nobody between can
// change what it says.
func IsLoopback(u *url.URL) bool {
	host := u.Hostname()
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
