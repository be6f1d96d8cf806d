package main

import (
	"fmt"
	"io"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"berth/auth/oidc/oidctest"
)

// identityProvider is one that scripts have in common.
type identityProvider struct {
	issuer *oidctest.Issuer
	key    oidctest.Key
	t      *testing.T
}

// roleCommands are those of scripts about roles:
//
//	issuer NAME                   set $NAME to the URL of an identity provider
//	assume ROLE SUBJECT AUDIENCE  ask STS at $ADDR for a role, with a token of the provider
//	exchange ROLE SUBJECT SCOPE   exchange one for audience berth at the token endpoint
func roleCommands(t *testing.T, commands map[string]func(*testscript.TestScript, bool, []string)) {
	provider := sync.OnceValue(func() identityProvider {
		key := oidctest.NewKey(t, "one", "ES256")
		return identityProvider{oidctest.Start(t, key), key, t}
	})
	commands["issuer"] = scriptURL(func() string { return provider().issuer.URL })
	commands["assume"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 3 {
			ts.Fatalf("usage: assume ROLE SUBJECT AUDIENCE")
		}
		postForm(ts, "/", url.Values{
			"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"run-17"},
			"RoleArn": {"arn:aws:iam::000000000000:role/" + args[0]}, "WebIdentityToken": {provider().token(args[1], args[2])},
		})
	}
	commands["exchange"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) != 3 {
			ts.Fatalf("usage: exchange ROLE SUBJECT SCOPE")
		}
		postForm(ts, "/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "role": {args[0]}, "scope": {args[2]},
			"subject_token":      {provider().token(args[1], "berth")},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
		})
	}
}

func (p identityProvider) token(subject, audience string) string {
	return p.key.Sign(p.t, p.issuer.Claims(time.Now(), subject, audience, nil))
}

func postForm(ts *testscript.TestScript, path string, form url.Values) {
	resp, err := scriptClient.PostForm("http://"+ts.Getenv("ADDR")+path, form)
	ts.Check(err)
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Status)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}
