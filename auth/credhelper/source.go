package credhelper

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// errUnconfigured says that there is no source.
var errUnconfigured = errors.New("no access key is configured")

// source is where an access key comes from.
type source struct {
	name   string // what errors call it
	region string // what it signs for; empty if nobody has said

	// identity stands for who logs in. Its logins are remembered under it; if it is empty
	// they are not.
	identity string

	// unnamed is for the profile that nobody has asked for.
	unnamed bool

	keys func(context.Context, *client) (aws.Credentials, error)
}

// source returns the first source that is configured. Errors: errUnconfigured.
func (h *Helper) source() (source, error) {
	if s, ok, err := h.environment(); ok || err != nil {
		return s, err
	}
	if s, ok, err := h.webIdentityFile(); ok || err != nil {
		return s, err
	}
	return h.profile()
}

// region is what to sign for, if the environment says so.
func (h *Helper) region() string {
	if region := h.getenv("AWS_REGION"); region != "" {
		return region
	}
	return h.getenv("AWS_DEFAULT_REGION")
}

// environment is the access key of the environment.
func (h *Helper) environment() (s source, ok bool, err error) {
	id, secret := h.getenv("AWS_ACCESS_KEY_ID"), h.getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id == "" && secret == "":
		return source{}, false, nil
	case secret == "":
		return source{}, false, errors.New("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; set both or neither")
	case id == "":
		return source{}, false, errors.New("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not; set both or neither")
	}
	keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: h.getenv("AWS_SESSION_TOKEN")}
	return staticSource("the access key in AWS_ACCESS_KEY_ID", h.region(), keys), true, nil
}

// staticSource is an access key that is known.
func staticSource(name, region string, keys aws.Credentials) source {
	return source{
		name: name, region: region, identity: identity("key", keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
		keys: func(context.Context, *client) (aws.Credentials, error) { return keys, nil },
	}
}

// webIdentityFile is the token in a file that the environment names.
func (h *Helper) webIdentityFile() (s source, ok bool, err error) {
	path, role := h.getenv("AWS_WEB_IDENTITY_TOKEN_FILE"), h.getenv("AWS_ROLE_ARN")
	if path == "" {
		return source{}, false, nil
	}
	if role == "" {
		return source{}, false, errors.New("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not; set it to the role to take on")
	}
	s, err = tokenFileSource("the web identity in AWS_WEB_IDENTITY_TOKEN_FILE", h.region(), path, role, h.getenv("AWS_ROLE_SESSION_NAME"))
	return s, err == nil, err
}

// tokenFileSource is the token in a file. It is read each time: who put it there replaces
// it before it expires.
func tokenFileSource(name, region, path, role, session string) (source, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return source{}, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return source{}, fmt.Errorf("%s: the file %s is empty", name, path)
	}
	s := webIdentitySource(name, region, token, role, session)
	s.identity = identity("web", role, session, tokenSubject(token))
	return s, nil
}

// webIdentitySource is a token that the registry trades for temporary credentials.
func webIdentitySource(name, region, token, role, session string) source {
	return source{name: name, region: region, keys: func(ctx context.Context, c *client) (aws.Credentials, error) {
		return c.assumeRoleWithWebIdentity(ctx, role, session, token)
	}}
}

// tokenSubject stands for whom a token is about, so that the next one about the same finds
// what was remembered. Nothing is verified: who could forge a token here could read what
// is remembered as well.
func tokenSubject(token string) string {
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return token
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Subject == "" {
		return token
	}
	return identity(claims.Issuer, claims.Subject)
}

// identity makes one word of several, which tells nothing of them.
func identity(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
