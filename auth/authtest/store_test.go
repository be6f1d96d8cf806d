package authtest_test

import (
	"testing"

	"berth/auth"
	"berth/auth/authtest"
)

func TestStore(t *testing.T) {
	authtest.RunStore(t, func(*testing.T) auth.Store { return authtest.NewStore() })
}

func TestStoreResources(t *testing.T) {
	authtest.RunResources(t, func(*testing.T) (auth.Store, authtest.Resources) {
		s := authtest.NewStore()
		return s, s
	})
}
