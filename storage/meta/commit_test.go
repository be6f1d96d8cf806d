package meta_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"berth/registry"
	"berth/storage/meta"
	"berth/storage/meta/pgtest"
)

// TestCommitWithoutAnswer breaks the connection when the server has the COMMIT. Nobody
// knows what came of it, so the transaction must not be run again.
func TestCommitWithoutAnswer(t *testing.T) {
	server, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	var cut atomic.Bool
	through := *server
	through.Host = cutter(t, server.Host, &cut)
	db := openURL(t, through.String(), meta.Options{})
	for _, update := range []func() error{
		func() error { return db.Update(t.Context(), ensure(t.Context(), "durable")) },
		func() error { return db.UpdateRelaxed(t.Context(), ensure(t.Context(), "relaxed")) },
	} {
		cut.Store(true)
		if err := update(); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("an update whose COMMIT got no answer: %v; want ErrUnavailable", err)
		}
		if cut.Load() {
			t.Error("no COMMIT was cut off")
		}
	}
	direct := openURL(t, server.String(), meta.Options{})
	for _, name := range []registry.Name{"durable", "relaxed"} {
		_, err := direct.Repository(t.Context(), name)
		for begun := time.Now(); err != nil && time.Since(begun) < 10*time.Second; { // the server may be at it still
			time.Sleep(5 * time.Millisecond)
			_, err = direct.Repository(t.Context(), name)
		}
		if err != nil {
			t.Errorf("%s was committed: %v", name, err)
		}
	}
}

// cutter is a proxy before a server of PostgreSQL. When cut is set, the next COMMIT is
// passed on and its answer is not.
func cutter(t *testing.T, to string, cut *atomic.Bool) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	pass := func(client, server net.Conn) {
		defer client.Close()
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			end := bytes.HasSuffix(buf[:n], []byte("commit\x00")) && cut.CompareAndSwap(true, false)
			if end {
				client.Close()
			}
			if _, writeErr := server.Write(buf[:n]); err != nil || writeErr != nil || end {
				return
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go pass(client, server)
			go func() {
				_, _ = io.Copy(client, server)
				client.Close()
			}()
		}
	}()
	return listener.Addr().String()
}
