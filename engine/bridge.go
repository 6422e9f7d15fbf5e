package main

import (
	"io"
	"net"
	"sync"
)

// maxBridged is the most connections the bridge carries at one time.
const maxBridged = 256

// bridge leads connections to a port on 127.0.0.1 into the library's in-process side. Who comes this way has to
// show the bridge secret in CONNECT; the library's time limit for authentication keeps others from staying.
type bridge struct {
	listener net.Listener
	slots    chan struct{}
	dial     func() (net.Conn, error)
}

func openBridge(dial func() (net.Conn, error)) (*bridge, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bridge{listener: listener, slots: make(chan struct{}, maxBridged), dial: dial}
	go b.accept()
	return b, nil
}

func (b *bridge) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *bridge) accept() {
	for {
		outside, err := b.listener.Accept()
		if err != nil {
			return
		}
		select {
		case b.slots <- struct{}{}:
			go b.carry(outside)
		default:
			outside.Close()
		}
	}
}

// carry copies both ways until either side ends.
func (b *bridge) carry(outside net.Conn) {
	defer func() { <-b.slots }()
	defer outside.Close()
	inside, err := b.dial()
	if err != nil {
		return // The server is stopping.
	}
	var both sync.WaitGroup
	both.Go(func() { pump(inside, outside) })
	both.Go(func() { pump(outside, inside) })
	both.Wait()
}

func pump(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}
