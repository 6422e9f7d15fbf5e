package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// maxBridged is the most connections that the bridge carries at one time.
	maxBridged = 256
	// farewellWithin is how long a peer has to take the library's last words.
	farewellWithin = 2 * time.Second
)

// serveBridge leads connections to a listener into the library's in-process side, where they are authenticated, until
// the listener is closed. Only the broker's user gets to it, so connections beyond the bound just wait.
func serveBridge(listener net.Listener, dial func() (net.Conn, error)) {
	slots := make(chan struct{}, maxBridged)
	for {
		outside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // No descriptor is free, most likely.
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			carry(outside, dial)
		}()
	}
}

// carry copies both ways until either side ends. The library's last words still go out when the peer cannot say
// anything more.
func carry(outside net.Conn, dial func() (net.Conn, error)) {
	defer outside.Close()
	inside, err := dial()
	if err != nil {
		return // The server is stopping.
	}
	var inward sync.WaitGroup
	inward.Go(func() {
		io.Copy(inside, outside)
		inside.Close()
		outside.SetDeadline(time.Now().Add(farewellWithin))
	})
	io.Copy(outside, inside)
	outside.Close()
	inside.Close()
	inward.Wait()
}
