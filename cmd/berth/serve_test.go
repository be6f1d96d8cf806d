package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/mem"
)

// answering is a store that says the same to whoever looks something up.
type answering struct {
	blob.Store
	err error
}

func (s answering) Size(context.Context, blob.Key) (int64, error) { return 0, s.err }

// TestTryStorage has a server say at once that its bucket is not there.
func TestTryStorage(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, test := range []struct {
		name  string
		ctx   context.Context
		store blob.Store
		warns bool
	}{
		{"it works", t.Context(), mem.New(), false},
		{"it does not", t.Context(), answering{err: fmt.Errorf("%w: NoSuchBucket", blob.ErrUnavailable)}, true},
		{"it may not be read", t.Context(), answering{err: errors.New("AccessDenied")}, true},
		{"the server ends", stopped, answering{err: context.Canceled}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			s := server{log: slog.New(slog.NewTextHandler(&log, nil)), parts: parts{blobs: test.store}}
			s.tryStorage(test.ctx)
			if warned := strings.Contains(log.String(), "berth doctor"); warned != test.warns {
				t.Errorf("warned is %t: %s", warned, log.String())
			}
		})
	}
}
