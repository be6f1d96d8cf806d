package auth_test

import (
	"errors"
	"strings"
	"testing"

	"berth/auth"
)

// Who asks, in the tests of principals.
var (
	ann     = auth.Principal{Name: "ann", Kind: auth.User}
	robot   = auth.Principal{Name: "deploy", Kind: auth.Robot}
	foreign = auth.Principal{Name: "ann", Kind: auth.User, Account: "444455556666"}
	away    = auth.Principal{Name: "build", Kind: auth.Role, Session: "run-17", Account: "444455556666"}
)

// principalTests have, for Allow and for Deny, those of whom a statement speaks: ann (a), the
// robot (r), the session of build (s), nobody (n), the other ann (f) and the other session (w).
// What it allows to another account takes an identity policy as well, which they have.
var principalTests = []struct{ principal, allows, denies string }{
	{`"Principal":"*"`, "arsnfw", "arsnfw"},
	{`"Principal":{"AWS":"*"}`, "arsnfw", "arsnfw"},
	{`"Principal":{"AWS":["arn:aws:iam::000000000000:user/bob","*"]}`, "arsnfw", "arsnfw"},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"}`, "a", "a"},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:user/Ann"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:user/team/ann"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:user/deploy"}`, "r", "r"},
	{`"Principal":{"AWS":["arn:aws:iam::000000000000:user/ann","arn:aws:iam::000000000000:user/deploy"]}`, "ar", "ar"},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:role/build"}`, "s", "s"},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:role/ann"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:user/build"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws:sts::000000000000:assumed-role/build/run-17"}`, "s", "s"},
	{`"Principal":{"AWS":"arn:aws:sts::000000000000:assumed-role/build/run-18"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws:sts::000000000000:federated-user/ann"}`, "", ""},
	{`"Principal":{"AWS":"arn:aws-cn:iam::000000000000:user/ann"}`, "", ""},
	// The own account as a whole leaves it to its identity policies whom they allow.
	{`"Principal":{"AWS":"000000000000"}`, "", "ars"},
	{`"Principal":{"AWS":"arn:aws:iam::000000000000:root"}`, "", "ars"},
	{`"Principal":{"AWS":"444455556666"}`, "fw", "fw"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:root"}`, "fw", "fw"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:user/ann"}`, "f", "f"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:role/build"}`, "w", "w"},
	{`"Principal":{"Service":"codebuild.amazonaws.com"}`, "", ""},
	{`"Principal":{"Service":["codebuild.amazonaws.com","ecs.amazonaws.com"],"AWS":"444455556666"}`, "fw", "fw"},
	{`"NotPrincipal":"*"`, "", ""},
	{`"NotPrincipal":{"AWS":"arn:aws:iam::000000000000:user/ann"}`, "rsfw", "rsnfw"},
	{`"NotPrincipal":{"AWS":["arn:aws:iam::000000000000:user/ann","arn:aws:iam::000000000000:root"]}`, "fw", "rsnfw"},
	{`"NotPrincipal":{"AWS":"arn:aws:iam::000000000000:role/build"}`, "arfw", "arnfw"},
	{`"NotPrincipal":{"AWS":"arn:aws:sts::000000000000:assumed-role/build/run-17"}`, "arfw", "arnfw"},
	{`"NotPrincipal":{"AWS":"444455556666"}`, "ars", "arsnfw"},
	{`"NotPrincipal":{"Service":"codebuild.amazonaws.com"}`, "arsfw", "arsnfw"},
}

func TestPrincipals(t *testing.T) {
	everything, err := auth.ParsePolicy("all", document(allowAll))
	must(t, err)
	who := []struct {
		letter string
		auth.Principal
	}{{"a", ann}, {"r", robot}, {"s", session}, {"n", auth.Nobody}, {"f", foreign}, {"w", away}}
	for _, test := range principalTests {
		for _, effect := range []auth.Effect{auth.Allow, auth.Deny} {
			p, err := auth.ParseRepositoryPolicy(document(`{"Effect":"` + string(effect) + `",` + test.principal + `,"Action":"ecr:*"}`))
			if err != nil {
				t.Errorf("%s: %v", test.principal, err)
				continue
			}
			got, want := "", test.allows
			for _, w := range who {
				policies := auth.Policies{Repository: p}
				if w.Account != "" || effect == auth.Deny {
					policies.Identity = []*auth.Policy{everything}
				}
				d := auth.Decide(policies, auth.Request{Action: auth.PutImage, Repo: "a", Principal: w.Principal})
				if d.Kind == auth.RepositoryPolicy && d.Allowed == (effect == auth.Allow) {
					got += w.letter
				}
			}
			if effect == auth.Deny {
				want = test.denies
			}
			if got != want {
				t.Errorf("%s %s: %q, want %q", effect, test.principal, got, want)
			}
		}
	}
}

var refusedPrincipals = []struct{ principal, says string }{
	{`"Sid":"none"`, "exactly one of Principal and NotPrincipal"},
	{`"Principal":"*","NotPrincipal":"*"`, "exactly one"},
	{`"Principal":"ann"`, `must be "*" or look like`},
	{`"Principal":["*"]`, "not a JSON object"},
	{`"Principal":{}`, "is empty"},
	{`"Principal":null`, "not a JSON object"},
	{`"Principal":{"AWS":[]}`, "not empty"},
	{`"Principal":{"AWS":7}`, "list of strings"},
	{`"Principal":{"AWS":"*","AWS":"444455556666"}`, "twice"},
	{`"Principal":{"aws":"*"}`, `should be "AWS"`},
	{`"Principal":{"Federated":"accounts.google.com"}`, `"Federated" is not known`},
	{`"Principal":{"AWS":"12345"}`, "neither the number of an account"},
	{`"Principal":{"AWS":"ann"}`, "neither the number of an account"},
	{`"Principal":{"AWS":"AIDACKCEVSQ6C2EXAMPLE"}`, "neither the number of an account"},
	{`"Principal":{"AWS":"arn:aws:iam::*:user/ann"}`, "wildcard"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:user/*"}`, "wildcard"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:user/"}`, "no valid name"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:user/a b"}`, "no valid name"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:group/admins"}`, "neither an account"},
	{`"Principal":{"AWS":"arn:aws:iam::444455556666:root/x"}`, "no root"},
	{`"Principal":{"AWS":"arn:aws:iam::4444:user/ann"}`, "twelve digits"},
	{`"Principal":{"AWS":"arn:gcp:iam::444455556666:user/ann"}`, "twelve digits"},
	{`"Principal":{"AWS":"arn:aws:iam:us-east-1:444455556666:user/ann"}`, "neither the number"},
	{`"Principal":{"AWS":"arn:aws:sts::444455556666:assumed-role/build"}`, "no session"},
	{`"Principal":{"AWS":"arn:aws:sts::444455556666:assumed-role/build/*"}`, "wildcard"},
	{`"Principal":{"Service":"*"}`, "no service"},
	{`"Principal":{"Service":"codebuild"}`, "no service"},
}

func TestPrincipalsThatAreRefused(t *testing.T) {
	for _, test := range refusedPrincipals {
		_, err := auth.ParseRegistryPolicy(document(`{"Effect":"Allow",` + test.principal + `,"Action":"ecr:*"}`))
		if !errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, which should say %q", test.principal, err, test.says)
		}
	}
}

var existenceTests = []struct{ principal, want string }{
	{`"*"`, ""},
	{`{"AWS":"arn:aws:iam::000000000000:user/ann"}`, ""},
	{`{"AWS":"arn:aws:iam::000000000000:user/deploy"}`, ""},
	{`{"AWS":["000000000000","arn:aws:iam::000000000000:root"]}`, ""},
	{`{"AWS":"arn:aws:iam::000000000000:role/build"}`, ""},
	{`{"AWS":"arn:aws:sts::000000000000:assumed-role/build/any"}`, ""},
	{`{"AWS":"arn:aws:iam::444455556666:user/nobody"}`, ""},
	{`{"Service":"codebuild.amazonaws.com"}`, ""},
	{`{"AWS":"arn:aws:iam::000000000000:user/nobody"}`, "no user nobody"},
	{`{"AWS":["*","arn:aws:iam::000000000000:user/nobody"]}`, "no user nobody"},
	{`{"AWS":"arn:aws:iam::000000000000:user/build"}`, "no user build"},
	{`{"AWS":"arn:aws:iam::000000000000:user/team/ann"}`, "no user team/ann"},
	{`{"AWS":"arn:aws:iam::000000000000:role/ann"}`, "no role ann"},
	{`{"AWS":"arn:aws:sts::000000000000:assumed-role/gone/any"}`, "no role gone"},
	{`{"AWS":"arn:aws:sts::000000000000:federated-user/ann"}`, "no user federated-user/ann"},
}

func TestPrincipalsMustExist(t *testing.T) {
	w := newWorld(t)
	for name, kind := range map[string]auth.Kind{"ann": auth.User, "deploy": auth.Robot, "build": auth.Role} {
		must(t, w.store.CreateAccount(t.Context(), auth.Account{Name: name, Kind: kind}))
	}
	exists := func(l auth.Local) (bool, error) { return w.manager.Exists(t.Context(), l) }
	for _, test := range existenceTests {
		for _, member := range []string{"Principal", "NotPrincipal"} {
			p, err := auth.ParseRepositoryPolicy(document(`{"Effect":"Deny","` + member + `":` + test.principal + `,"Action":"ecr:*"}`))
			must(t, err)
			err = p.CheckPrincipals(auth.Location{}, exists)
			if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, auth.ErrPolicyInvalid) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%s: got %v, which should say %q", test.principal, err, test.want)
			}
		}
	}
	p, err := auth.ParseRepositoryPolicy(document(`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"},"Action":"ecr:*"}`))
	must(t, err)
	broken := errors.New("no database")
	if err := p.CheckPrincipals(auth.Location{}, func(auth.Local) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("without a database: %v", err)
	}
}
