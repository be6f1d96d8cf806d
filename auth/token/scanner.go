package token

import (
	"context"
	"time"

	"berth/auth"
	"berth/registry"
)

// IssueScanner makes an access token with which a scanner of the registry can pull from
// repositories for the length of life.
func (i *Issuer) IssueScanner(ctx context.Context, repos []registry.Name, life time.Duration) (Token, error) {
	p := auth.ScannerFor(repos)
	c := claimsOf(p)
	c.Access = p.Scopes
	return i.sign(ctx, i.options.Service, life, c)
}
