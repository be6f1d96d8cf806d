package tokentest_test

import (
	"testing"

	"berth/auth/token"
	"berth/auth/token/tokentest"
)

func TestKeyStore(t *testing.T) {
	tokentest.RunKeyStore(t, func(*testing.T) token.KeyStore { return &tokentest.KeyStore{} })
}
