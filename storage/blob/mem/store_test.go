package mem_test

import (
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/blobtest"
	"berth/storage/blob/mem"
)

func TestStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.New() })
}

func TestFull(t *testing.T) {
	s := mem.New()
	s.SetCapacity(1 << 20)
	blobtest.RunFull(t, s, func() { s.SetCapacity(64 << 20) })
}
