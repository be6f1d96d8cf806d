package s3

import "testing"

func TestPartSize(t *testing.T) {
	var size int64
	for n := 1; n <= maxParts; n++ {
		part := partSize(n)
		if part < 5<<20 || part > maxPartSize || part%pieceSize != 0 || n > 1 && part < partSize(n-1) {
			t.Fatalf("partSize(%d) = %d", n, part)
		}
		size += part
	}
	if size < 52_000<<20 {
		t.Errorf("the largest object has %d bytes", size)
	}
}
