package main

import (
	"fmt"
	"net"
	"os"
)

// inherited holds the listening sockets that the broker made in its run directory, where only its user gets. Each is nil
// when the broker gave none.
type inherited struct {
	pages  net.Listener // for the monitoring pages
	bridge net.Listener // for the broker's own connections
}

// inherit takes over descriptors; below 0 there is none.
func inherit(pagesFD, bridgeFD int) (inherited, error) {
	pages, err := inheritListener("--pages-fd", pagesFD)
	if err != nil {
		return inherited{}, err
	}
	bridge, err := inheritListener("--bridge-fd", bridgeFD)
	return inherited{pages, bridge}, err
}

func inheritListener(option string, fd int) (net.Listener, error) {
	if fd < 0 {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), option)
	defer file.Close() // FileListener works on a duplicate.
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d of %s is not a listening socket", fd, option)
	}
	if _, ok := listener.(*net.UnixListener); !ok {
		listener.Close()
		return nil, fmt.Errorf("descriptor %d of %s is not a Unix socket", fd, option)
	}
	return listener, nil
}
