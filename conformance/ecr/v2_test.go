package ecr

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
)

// password is what user AWS logs in with who signs with a client.
func password(t *testing.T, c *sdk.Client) string {
	t.Helper()
	out := do(t, c.GetAuthorizationToken, &sdk.GetAuthorizationTokenInput{})
	b, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	user, secret, _ := strings.Cut(string(b), ":")
	if user != "AWS" || strings.ContainsAny(secret, ":\n") {
		t.Fatalf("the token is for %q", user)
	}
	return secret
}

// ask sends a request of /v2/ as user AWS and returns the status of the answer.
func ask(t *testing.T, secret, method, path, mediaType, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("AWS", secret)
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// putByTag pushes a manifest as docker does, as the administrator.
func putByTag(t *testing.T, repo, tag string, x image) int {
	t.Helper()
	return ask(t, password(t, connect(t)), http.MethodPut, "/v2/"+repo+"/manifests/"+tag, manifestType, x.manifest)
}
