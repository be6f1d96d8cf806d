package s3

import "testing"

func TestPartSize(t *testing.T) {
	var size int64
	for n := 1; n <= maxParts; n++ {
		if got := sizeBefore(n); got != size {
			t.Fatalf("sizeBefore(%d) = %d; want %d", n, got, size)
		}
		part := partSize(n)
		if part < 5<<20 || part > maxPartSize || part%pieceSize != 0 || n > 1 && part < partSize(n-1) {
			t.Fatalf("partSize(%d) = %d", n, part)
		}
		size += part
	}
	if got := sizeBefore(maxParts + 1); got != size {
		t.Errorf("sizeBefore(%d) = %d; want %d", maxParts+1, got, size)
	}
	if size < 52_000<<20 {
		t.Errorf("the largest object has %d bytes", size)
	}
}
