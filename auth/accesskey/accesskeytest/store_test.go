package accesskeytest_test

import (
	"testing"

	"berth/auth/accesskey/accesskeytest"
)

func TestStore(t *testing.T) {
	accesskeytest.RunStore(t, func(*testing.T) accesskeytest.Stores { return accesskeytest.NewStore() })
}
