package token

import (
	"context"
	"time"

	"berth/auth"
)

// LoginLife is how long what [Issuer.IssueLogin] makes is good for, as long as what Amazon
// ECR gives out.
const LoginLife = 12 * time.Hour

// IssueLogin gives p what passes for a password of [auth.LoginUser] until it expires, at
// the latest at until unless that is zero. It ends with the password of the account.
func (i *Issuer) IssueLogin(ctx context.Context, p auth.Principal, until time.Time) (Token, error) {
	life := LoginLife
	if left := until.Sub(i.options.Clock()); !until.IsZero() && left < life {
		life = left
	}
	return i.sign(ctx, i.audience(logins), life, claimsOf(p))
}

// VerifyLogin returns the principal that such a password was given to.
// Errors: *auth.RefusedError.
func (i *Issuer) VerifyLogin(ctx context.Context, text string) (auth.Principal, error) {
	return i.unlimited(ctx, i.login, text)
}
