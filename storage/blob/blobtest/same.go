package blobtest

import (
	"bytes"
	"fmt"
	"io"
)

// same reads r to its end and compares. It does so piece by piece: to collect all
// bytes first would cost more than everything else in the suite.
func same(r io.Reader, want []byte) error {
	buffer := make([]byte, 64<<10)
	for at := 0; ; {
		n, err := r.Read(buffer)
		if n > len(want)-at {
			return fmt.Errorf("there are more than %d bytes", len(want))
		}
		if !bytes.Equal(buffer[:n], want[at:at+n]) {
			return fmt.Errorf("the bytes from %d to %d are not those that were written", at, at+n)
		}
		at += n
		switch {
		case err == io.EOF && at < len(want):
			return fmt.Errorf("there are %d bytes of %d", at, len(want))
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("after %d bytes of %d: %w", at, len(want), err)
		}
	}
}
