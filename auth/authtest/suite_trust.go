package authtest

import (
	"testing"

	"berth/auth"
)

func testTrust(t *testing.T, s auth.Store) {
	ctx := t.Context()
	build := auth.Account{Name: "build", Kind: auth.Role, PasswordHash: "$none$", CreatedAt: created, Trust: `{"Größe": "x"}`}
	want(t, "CreateAccount", s.CreateAccount(ctx, build), nil)
	want(t, "UpdateAccount", s.UpdateAccount(ctx, "build", func(a *auth.Account) error {
		same(t, *a, build)
		a.Trust = "{}"
		return nil
	}), nil)
	build.Trust = "{}"
	page, err := s.Accounts(ctx, "", "", 10)
	want(t, "Accounts", err, nil)
	same(t, page, []auth.Account{build})
}
