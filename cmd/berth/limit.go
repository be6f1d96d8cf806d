package main

import (
	"net"
	"sync"
)

// limitListener accepts a limited number of connections at a time, as
// netutil.LimitListener does. Its connections show what they are, TCP: net/http looks
// for ReadFrom, which is sendfile, and for CloseWrite.
type limitListener struct {
	net.Listener
	places chan struct{}
	done   chan struct{}
	close  sync.Once
}

func limit(l net.Listener, n int) net.Listener {
	return &limitListener{Listener: l, places: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a place and then for a connection.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{TCPConn: conn.(*net.TCPConn), leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close ends an Accept that waits, too.
func (l *limitListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	*net.TCPConn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}
