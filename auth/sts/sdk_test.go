package sts_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"berth/auth"
	"berth/auth/oidc/oidctest"
)

// wantCode fails the test unless the SDK understands an error as code.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() == "" {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func wantCaller(t *testing.T, c *awssts.Client, arn, id string) {
	t.Helper()
	who, err := c.GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
	must(t, err)
	if *who.Arn != arn || *who.UserId != id || *who.Account != account {
		t.Errorf("the caller is %s, %s, %s", *who.Arn, *who.UserId, *who.Account)
	}
}

func static(c *types.Credentials) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func TestGetCallerIdentity(t *testing.T) {
	w := newWorld(t)
	wantCaller(t, w.client(w.alice), "arn:aws:iam::123456789012:user/alice", "alice")
	ask := func(c aws.CredentialsProvider) error {
		_, err := w.client(c).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
		return err
	}
	good, err := w.alice.Retrieve(t.Context())
	must(t, err)
	wantCode(t, "a wrong secret", ask(credentials.NewStaticCredentialsProvider(good.AccessKeyID, "x", "")), "SignatureDoesNotMatch")
	wantCode(t, "an unknown key", ask(credentials.NewStaticCredentialsProvider("AKIAAAAAAAAAAAAAAAAA", "x", "")), "InvalidClientTokenId")
	wantCode(t, "nobody", ask(aws.AnonymousCredentials{}), "MissingAuthenticationToken")

	// A presigned request, as Vault and Kubernetes send it on.
	presigned, err := awssts.NewPresignClient(w.client(w.alice)).PresignGetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
	must(t, err)
	for url, status := range map[string]int{presigned.URL: http.StatusOK, presigned.URL + "&x=y": http.StatusForbidden} {
		resp, err := http.Get(url)
		must(t, err)
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != status || status == http.StatusOK && !strings.Contains(string(b), ":user/alice</Arn>") {
			t.Errorf("presigned: %s %s", resp.Status, b)
		}
	}
}

func TestGetSessionToken(t *testing.T) {
	w := newWorld(t)
	ask := func(c aws.CredentialsProvider, seconds *int32) (*awssts.GetSessionTokenOutput, error) {
		return w.client(c).GetSessionToken(t.Context(), &awssts.GetSessionTokenInput{DurationSeconds: seconds})
	}
	for seconds, life := range map[*int32]time.Duration{nil: 12 * time.Hour, aws.Int32(900): 15 * time.Minute, aws.Int32(129600): 36 * time.Hour} {
		out, err := ask(w.alice, seconds)
		must(t, err)
		if left := time.Until(*out.Credentials.Expiration); left > life || left < life-time.Minute {
			t.Errorf("a session of %s is good for %s", life, left)
		}
		wantCaller(t, w.client(static(out.Credentials)), "arn:aws:iam::123456789012:user/alice", "alice")
		_, err = ask(static(out.Credentials), nil)
		wantCode(t, "a session of a session", err, "AccessDenied")
	}
	for _, seconds := range []int32{0, -1, 899, 129601} {
		_, err := ask(w.alice, &seconds)
		wantCode(t, "too short or too long", err, "ValidationError")
	}
	_, err := w.client(w.alice).GetSessionToken(t.Context(), &awssts.GetSessionTokenInput{SerialNumber: aws.String("arn:x"), TokenCode: aws.String("123456")})
	wantCode(t, "a second factor", err, "ValidationError")
	_, err = ask(aws.AnonymousCredentials{}, nil)
	wantCode(t, "nobody", err, "MissingAuthenticationToken")

	// It ends with the credential of the account.
	out, err := ask(w.alice, nil)
	must(t, err)
	must(t, w.manager.SetPassword(t.Context(), "alice", "another password"))
	_, err = w.client(static(out.Credentials)).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
	wantCode(t, "after another password", err, "InvalidClientTokenId")

	events, _ := w.take()
	if e := events[0]; e.Action != "GetSessionToken" || e.Who != "user alice" || !strings.HasPrefix(e.Key, "ASIA") || e.Err != nil || e.Expires.IsZero() {
		t.Errorf("the first event is %+v", e)
	}
	if e := events[1]; e.Err == nil || e.Key != "" {
		t.Errorf("the second event is %+v", e)
	}
}

// identityToken is for stscreds.
type identityToken func() string

func (f identityToken) GetIdentityToken() ([]byte, error) { return []byte(f()), nil }

func TestWebIdentity(t *testing.T) {
	w := newWorld(t)
	provider := stscreds.NewWebIdentityRoleProvider(w.client(aws.AnonymousCredentials{}), roleARN,
		identityToken(func() string { return w.token(t, "repo:acme/app:ref:refs/heads/main", nil) }),
		func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = "run-17" })
	wantCaller(t, w.client(provider), "arn:aws:sts::123456789012:assumed-role/build/run-17", "build:run-17")
	events, notes := w.take()
	if e := events[0]; e.Err != nil || e.Who != "repo:acme/app:ref:refs/heads/main" || e.Issuer != w.issuer.URL || e.Role != roleARN || e.Session != "run-17" || e.Expires.IsZero() {
		t.Errorf("the event is %+v", e)
	}
	if n := notes[0]; n.Operation != "AssumeRoleWithWebIdentity" || n.Principal.String() != "role build/run-17" || n.Err != nil {
		t.Errorf("the note is %+v", n)
	}

	out, err := w.assume(t, func(*awssts.AssumeRoleWithWebIdentityInput) {})
	must(t, err)
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::123456789012:assumed-role/build/run-17" || *out.AssumedRoleUser.AssumedRoleId != "build:run-17" ||
		*out.Audience != audience || *out.SubjectFromWebIdentityToken != "repo:acme/app:x" || !strings.HasPrefix(*out.Provider, "arn:aws:iam::123456789012:oidc-provider/127.0.0.1:") {
		t.Errorf("the answer is %+v", out)
	}
	if left := time.Until(*out.Credentials.Expiration); left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("it is good for %s", left)
	}
	_, err = w.client(static(out.Credentials)).GetSessionToken(t.Context(), &awssts.GetSessionTokenInput{})
	wantCode(t, "a session of a session", err, "AccessDenied")

	// The role is gone, and with it its sessions.
	must(t, w.manager.DeleteAccount(t.Context(), "build"))
	_, err = w.client(static(out.Credentials)).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
	wantCode(t, "the session of no role", err, "InvalidClientTokenId")
}

// assume asks for the role build as changed.
func (w *world) assume(t *testing.T, change func(*awssts.AssumeRoleWithWebIdentityInput)) (*awssts.AssumeRoleWithWebIdentityOutput, error) {
	in := &awssts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(roleARN), RoleSessionName: aws.String("run-17"), WebIdentityToken: aws.String(w.token(t, "repo:acme/app:x", nil)),
	}
	change(in)
	return w.client(aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(context.Background(), in)
}

func TestWebIdentityRefused(t *testing.T) {
	w := newWorld(t)
	must(t, w.manager.Store.CreateAccount(t.Context(), auth.Account{Name: "off", Kind: auth.Role, Disabled: true}))
	type input = awssts.AssumeRoleWithWebIdentityInput
	token := func(claims map[string]any) func(*input) {
		return func(in *input) { in.WebIdentityToken = aws.String(w.token(t, "repo:acme/app:x", claims)) }
	}
	stranger := oidctest.Start(t, w.key)
	for _, test := range []struct {
		name   string
		change func(*input)
		code   string
	}{
		{"no role", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/nobody") }, "AccessDenied"},
		{"a user", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/alice") }, "AccessDenied"},
		{"a role of another account", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::000000000000:role/build") }, "AccessDenied"},
		{"a role that is off", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/off") }, "AccessDenied"},
		{"another subject", token(map[string]any{"sub": "repo:evil/app:x"}), "AccessDenied"},
		{"another audience", token(map[string]any{"aud": "other"}), "AccessDenied"},
		{"no ARN", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:build") }, "ValidationError"},
		{"a short ARN", func(in *input) { in.RoleArn = aws.String("build") }, "ValidationError"},
		{"a session name with blanks", func(in *input) { in.RoleSessionName = aws.String("run 17") }, "ValidationError"},
		{"a short session name", func(in *input) { in.RoleSessionName = aws.String("r") }, "ValidationError"},
		{"a long session name", func(in *input) { in.RoleSessionName = aws.String(strings.Repeat("r", 65)) }, "ValidationError"},
		{"too short", func(in *input) { in.DurationSeconds = aws.Int32(899) }, "ValidationError"},
		{"too long", func(in *input) { in.DurationSeconds = aws.Int32(43201) }, "ValidationError"},
		{"a session policy", func(in *input) { in.Policy = aws.String("{}") }, "ValidationError"},
		{"session policies", func(in *input) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/x")}}
		}, "ValidationError"},
		{"a provider of OAuth 2", func(in *input) { in.ProviderId = aws.String("www.amazon.com") }, "ValidationError"},
		{"no token", func(in *input) { in.WebIdentityToken = aws.String("abcd") }, "InvalidIdentityToken"},
		{"a stranger", token(map[string]any{"iss": stranger.URL}), "InvalidIdentityToken"},
		{"expired", token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), "ExpiredTokenException"},
		{"not yet", token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), "IDPRejectedClaim"},
	} {
		out, err := w.assume(t, test.change)
		wantCode(t, test.name, err, test.code)
		if out != nil {
			t.Errorf("%s: %+v", test.name, out)
		}
		if events, _ := w.take(); len(events) != 1 || events[0].Err == nil || events[0].Key != "" {
			t.Errorf("%s: the events are %+v", test.name, events)
		}
	}
	if n := stranger.Requests(); n > 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
	fresh := newWorld(t)
	fresh.issuer.Answer(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "down", http.StatusBadGateway) })
	_, err := fresh.assume(t, func(*input) {})
	wantCode(t, "an issuer that is down", err, "IDPCommunicationError")
}
