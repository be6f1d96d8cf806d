package authtest_test

import (
	"testing"

	"berth/auth"
	"berth/auth/authtest"
)

func TestStore(t *testing.T) {
	authtest.RunStore(t, func(*testing.T) auth.Store { return authtest.NewStore() })
}
