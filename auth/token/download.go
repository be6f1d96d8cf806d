package token

import (
	"context"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/opencontainers/go-digest"

	"berth/auth"
	"berth/registry"
)

// DownloadLife is how long a blob can be read with what [Issuer.IssueDownload] makes.
const DownloadLife = time.Hour

// IssueDownload makes what anybody can read a blob with who has it.
func (i *Issuer) IssueDownload(ctx context.Context, repo registry.Name, d digest.Digest) (Token, error) {
	c := claims{RegisteredClaims: jwt.RegisteredClaims{Subject: string(repo)}, Kind: auth.Anonymous, Layer: d}
	return i.sign(ctx, i.audience(downloads), DownloadLife, c)
}

// VerifyDownload returns the blob that can be read. Errors: *auth.RefusedError.
func (i *Issuer) VerifyDownload(ctx context.Context, text string) (registry.Name, digest.Digest, error) {
	if len(text) > maxToken {
		return "", "", errTooLong
	}
	c, err := i.parse(ctx, i.download, text)
	if err != nil {
		return "", "", err
	}
	return registry.Name(c.Subject), c.Layer, nil
}
