package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestLimit serves one connection at a time, as one that net/http can use sendfile on.
func TestLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 1)
	accepted, ended := make(chan net.Conn), make(chan error)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	if _, ok := first.(io.ReaderFrom); !ok {
		t.Errorf("a %T has no ReadFrom", first)
	}
	if _, ok := first.(interface{ CloseWrite() error }); !ok {
		t.Errorf("a %T has no CloseWrite", first)
	}
	select {
	case <-accepted:
		t.Error("two connections at a time")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	first.Close() // gives back no second place
	<-accepted
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("Accept goes on")
	}
}
