package credhelper

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// defaultSession is the name of our sessions unless somebody gives another.
const defaultSession = "berth-credential-helper"

// assumeRoleWithWebIdentity trades a token for temporary credentials. The request has no
// signature: the token is the proof.
func (c *client) assumeRoleWithWebIdentity(ctx context.Context, role, session, token string) (aws.Credentials, error) {
	if session == "" {
		session = defaultSession
	}
	form := url.Values{
		"Action":           {"AssumeRoleWithWebIdentity"},
		"Version":          {"2011-06-15"},
		"RoleArn":          {role},
		"RoleSessionName":  {session},
		"WebIdentityToken": {token},
	}
	a, err := c.post(ctx, form.Encode(), func(req *http.Request) error {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return nil
	})
	if err != nil {
		return aws.Credentials{}, err
	}
	if a.status != http.StatusOK {
		return aws.Credentials{}, a.stsError(token)
	}
	var out struct {
		XMLName     xml.Name `xml:"AssumeRoleWithWebIdentityResponse"`
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	keys := &out.Credentials
	if err := xml.Unmarshal(a.body, &out); err != nil || keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return aws.Credentials{}, errors.New("the answer to AssumeRoleWithWebIdentity has no credentials")
	}
	return aws.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken}, nil
}

// stsError reads an error in the protocol of STS.
func (a answer) stsError(secrets ...string) error {
	var out struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}
	e := &answerError{status: a.status}
	if xml.Unmarshal(a.body, &out) == nil {
		e.code, e.message = clean(out.Code, secrets...), clean(out.Message, secrets...)
		return e
	}
	// Who does not know STS may answer in the protocol of ECR.
	return a.ecrError(secrets...)
}
