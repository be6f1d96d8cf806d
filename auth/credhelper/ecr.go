package credhelper

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	authorizationTarget = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"

	// defaultRegion is what to sign for if nobody says. berth takes any unless it has a
	// --region of its own.
	defaultRegion = "us-east-1"
)

// authorizationToken asks for the login of user AWS with an access key.
func (c *client) authorizationToken(ctx context.Context, keys aws.Credentials, region string) (Login, error) {
	if region == "" {
		region = c.at.region()
	}
	if region == "" {
		region = defaultRegion
	}
	const body = "{}"
	sum := sha256.Sum256([]byte(body))
	a, err := c.post(ctx, body, func(req *http.Request) error {
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", authorizationTarget)
		return v4.NewSigner().SignHTTP(ctx, keys, req, hex.EncodeToString(sum[:]), "ecr", region, c.now())
	})
	if err != nil {
		return Login{}, err
	}
	if a.status != http.StatusOK {
		return Login{}, a.ecrError(keys.SessionToken)
	}
	return a.login(c.now())
}

// login reads the answer to GetAuthorizationToken. The time that the login is good for is
// counted from now by our clock, as it was from Date by the registry's.
func (a answer) login(now time.Time) (Login, error) {
	var out struct {
		AuthorizationData []struct {
			AuthorizationToken string
			ExpiresAt          float64
		}
	}
	if err := json.Unmarshal(a.body, &out); err != nil || len(out.AuthorizationData) == 0 {
		return Login{}, errors.New("the answer has no authorizationData; does the registry speak the API of Amazon ECR?")
	}
	data := out.AuthorizationData[0]
	decoded, err := base64.StdEncoding.DecodeString(data.AuthorizationToken)
	user, password, found := strings.Cut(string(decoded), ":")
	if err != nil || !found || user == "" || password == "" {
		return Login{}, errors.New("the authorizationToken in the answer is not a name and a password in base64")
	}
	login := Login{Username: user, Secret: password}
	if data.ExpiresAt > 0 {
		asked := now
		if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
			asked = date
		}
		login.Until = now.Add(time.UnixMilli(int64(data.ExpiresAt * 1000)).Sub(asked))
	}
	return login, nil
}

// answerError is an error that the registry has answered.
type answerError struct {
	code    string // without namespace; empty if it is no error of AWS's
	message string
	status  int
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("the registry answered %d %s", e.status, http.StatusText(e.status))
	if e.code != "" {
		text = "the registry answered " + e.code
	}
	if e.message != "" {
		text += ": " + e.message
	}
	if advice := e.advice(); advice != "" {
		text += "; " + advice
	}
	return text
}

// advice says what to do.
func (e *answerError) advice() string {
	switch e.code {
	case "UnrecognizedClientException":
		return "use an access key of this registry, as berth key create makes them"
	case "InvalidSignatureException":
		return "the secret of the access key, AWS_REGION or the clock of this machine is wrong"
	case "ExpiredTokenException", "ExpiredToken":
		return "get new temporary credentials"
	case "AccessDeniedException":
		return "the account must be allowed ecr:GetAuthorizationToken"
	case "InvalidIdentityToken", "IDPCommunicationError":
		return "the registry must trust who has issued the token"
	case "AccessDenied":
		return "the role must be there and trust whom the token is about"
	case "":
		return "is it a registry that speaks the API of Amazon ECR, and is this its own host name?"
	}
	return ""
}

// isUnknownKey reports whether the registry has never heard of an access key.
func isUnknownKey(err error) bool {
	e, ok := errors.AsType[*answerError](err)
	return ok && e.code == "UnrecognizedClientException"
}

// ecrError reads an error in the protocol of ECR.
func (a answer) ecrError(secrets ...string) error {
	var out struct {
		Type    string `json:"__type"`
		Message string // or message: names match in any case
	}
	e := &answerError{status: a.status}
	if json.Unmarshal(a.body, &out) == nil {
		_, name, found := strings.Cut(out.Type, "#")
		if !found {
			name = out.Type
		}
		name, _, _ = strings.Cut(name, ":")
		e.code, e.message = clean(name, secrets...), clean(out.Message, secrets...)
	}
	return e
}

// clean makes a stranger's text fit for a line of an error: short, printable and without
// what we have sent in confidence.
func clean(text string, secrets ...string) string {
	const limit = 300
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
