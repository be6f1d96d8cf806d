package token_test

import (
	"context"
	"fmt"
	"testing"

	"berth/auth"
	"berth/auth/token/tokentest"
	"berth/registry"
)

// nothing is a registry that has one manifest everywhere.
type nothing struct{ registry.Refusing }

func (nothing) Manifest(context.Context, registry.Name, registry.Reference) (registry.Manifest, error) {
	return registry.Manifest{}, nil
}

// BenchmarkRequest is what each request costs on top of the work itself: a token
// verified before, and the decision. The generation is read from memory here.
func BenchmarkRequest(b *testing.B) {
	for _, extra := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d custom policies", extra), func(b *testing.B) {
			e := newEndpoint(b)
			ctx := context.Background()
			for i := range extra {
				document, err := auth.GrantDocument(auth.Location{}, []string{fmt.Sprintf("team%d/*", i)}, []string{auth.Pull, auth.Push})
				must(b, err)
				name := fmt.Sprintf("team%d", i)
				must(b, e.manager.PutPolicy(ctx, name, document))
				must(b, e.manager.Attach(ctx, "alice", name))
			}
			login := auth.NewLogin(e.access)
			p, err := login.Check(ctx, "alice", password, "")
			must(b, err)
			tok, err := e.issuer.Issue(ctx, p, scopes)
			must(b, err)
			guard := auth.Guard(nothing{}, e.access)
			b.ReportAllocs()
			for b.Loop() {
				p, err := e.issuer.Verify(ctx, tok.Text)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := guard.Manifest(auth.WithPrincipal(ctx, p), "team/app", registry.Reference{Tag: "v1"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyRemembered(b *testing.B) {
	i := newIssuer(b, &tokentest.KeyStore{}, newClock())
	text := issue(b, i)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Verify(context.Background(), text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	i := newIssuer(b, &tokentest.KeyStore{}, newClock())
	b.ReportAllocs()
	for b.Loop() {
		issue(b, i)
	}
}

func BenchmarkBasicRemembered(b *testing.B) {
	e := newEndpoint(b)
	login := auth.NewLogin(e.access)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := login.Check(context.Background(), "alice", password, "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}
