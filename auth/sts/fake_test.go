package sts_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/golang-jwt/jwt/v5"

	"berth/auth"
	"berth/auth/accesskey"
	"berth/auth/accesskey/accesskeytest"
	"berth/auth/oidc"
	"berth/auth/oidc/oidctest"
	"berth/auth/sigv4"
	"berth/auth/sts"
)

const (
	account  = "123456789012"
	roleARN  = "arn:aws:iam::" + account + ":role/build"
	audience = "sts.amazonaws.com"
)

// world is STS over HTTP, with the user alice, who has an access key, and the role build,
// which trusts an identity provider for subjects of acme.
type world struct {
	*httptest.Server
	manager *auth.Manager
	access  *auth.Access
	keys    *accesskey.Manager
	issuer  *oidctest.Issuer
	key     oidctest.Key
	alice   aws.CredentialsProvider

	mu     sync.Mutex
	events []sts.Event
	notes  []sts.Note
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, store := t.Context(), accesskeytest.NewStore()
	location := auth.Location{Region: "us-east-1", Account: account}
	access, err := auth.NewAccess(store, auth.Options{Location: location})
	must(t, err)
	sealer, err := accesskey.NewSealer(bytes.Repeat([]byte("s"), 32))
	must(t, err)
	w := &world{
		manager: &auth.Manager{Store: store}, access: access, keys: &accesskey.Manager{Store: store, Sealer: sealer},
		key: oidctest.NewKey(t, "one", "RS256"),
	}
	w.issuer = oidctest.Start(t, w.key)
	roles := auth.NewRoles(access)
	verifier := &sigv4.Verifier[accesskey.Owner]{Keys: accesskey.NewKeys(store, store, sealer, nil), Services: []string{sts.Service}}
	face := sts.New(sts.Options{
		Location: location, Verify: verifier.Verify, Assume: roles.Assume,
		Identify: oidc.NewVerifier(roles.Trusts, oidc.Options{Timeout: time.Second}).Verify,
		Issue:    (&accesskey.Issuer{Sealer: sealer}).Issue,
		Audit: func(_ context.Context, e sts.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
		Noted: func(_ context.Context, n sts.Note) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notes = append(w.notes, n)
		},
	})
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Request-Id", "the-request")
		face.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)

	must(t, store.CreateAccount(ctx, auth.Account{Name: "alice", Kind: auth.User, PasswordHash: "of alice"}))
	k, secret, err := w.keys.Create(ctx, "alice")
	must(t, err)
	w.alice = credentials.NewStaticCredentialsProvider(k.ID, secret, "")
	document, err := auth.TrustDocument(w.issuer.URL, []string{audience}, []string{"repo:acme/*"})
	must(t, err)
	_, err = w.manager.CreateRole(ctx, "build", document, auth.PowerUser)
	must(t, err)
	return w
}

// client is the real SDK, which signs with credentials.
func (w *world) client(c aws.CredentialsProvider) *awssts.Client {
	return awssts.New(awssts.Options{
		BaseEndpoint: &w.URL, Region: "us-east-1", Credentials: c, Retryer: aws.NopRetryer{},
	})
}

// token is one for a subject.
func (w *world) token(t testing.TB, subject string, others jwt.MapClaims) string {
	t.Helper()
	return w.key.Sign(t, w.issuer.Claims(time.Now(), subject, audience, others))
}

// ask sends a form and returns the status and the body of the answer.
func (w *world) ask(t testing.TB, form url.Values) (int, string) {
	t.Helper()
	resp, err := http.Post(w.URL, "application/x-www-form-urlencoded; charset=utf-8", strings.NewReader(form.Encode()))
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

// assumption is a form that asks for the role build.
func assumption(token string) url.Values {
	return url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN},
		"RoleSessionName": {"run-17"}, "WebIdentityToken": {token},
	}
}

// take returns the events and notes since it was last called.
func (w *world) take() ([]sts.Event, []sts.Note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, notes := w.events, w.notes
	w.events, w.notes = nil, nil
	return events, notes
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
