package sts

import (
	"time"

	"berth/auth/accesskey"
)

// credentials are an access key for some time.
type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func newCredentials(c accesskey.Credentials) credentials {
	return credentials{c.KeyID, c.Secret, c.SessionToken, c.Expires.UTC().Format("2006-01-02T15:04:05Z")}
}

// sessionToken is the result of GetSessionToken.
type sessionToken struct {
	Credentials credentials
}

// getSessionToken gives who has an access key another one for some time. It may do
// the same, and takes no permission.
func (c *call) getSessionToken() (any, error) {
	signed, err := c.signer()
	if err != nil {
		return nil, err
	}
	e := Event{Action: "GetSessionToken", Who: signed.Owner.Principal().String()}
	given, err := c.sessionFor(signed.Owner, signed.SessionToken != "")
	e.Key, e.Expires, e.Err = given.KeyID, given.Expires, err
	c.opts.Audit(c.request.Context(), e)
	if err != nil {
		return nil, err
	}
	return sessionToken{newCredentials(given)}, nil
}

func (c *call) sessionFor(owner accesskey.Owner, temporary bool) (accesskey.Credentials, error) {
	if temporary {
		// Or whoever gets hold of a session could have it go on for ever.
		return accesskey.Credentials{}, denied("Cannot call GetSessionToken with session credentials")
	}
	life := c.form.duration(accesskey.MinLifetime, accesskey.MaxLifetime, 12*time.Hour)
	if err := c.form.check(); err != nil {
		return accesskey.Credentials{}, err
	}
	if c.form.has("SerialNumber") || c.form.has("TokenCode") {
		return accesskey.Credentials{}, invalid("SerialNumber and TokenCode are of no use here: there are no MFA devices")
	}
	return c.opts.Issue(accesskey.Session{Account: owner.Account.Name, Credential: owner.Account.Fingerprint()}, life)
}
