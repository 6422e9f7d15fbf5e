package main

import (
	"errors"
	"fmt"
	"math"
	"net"

	"golang.org/x/sys/unix"
)

// A listener that is paused keeps its address and does not listen: the kernel refuses who comes, so that clients try
// their next server at once and load balancers see it. Linux lets a socket listen again after that.

// forGuests tells whether a listener is for others than brokers that are linked with this one.
func (d *door) forGuests() bool { return d.name != "cluster" && d.name != "gateway" }

// resumed returns what is closed when a listener that is paused listens again, nil for one that is not paused.
func (d *door) resumed() <-chan struct{} {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	if !d.forGuests() {
		return nil
	}
	return d.doors.paused
}

// pause has clients and leafnodes refused, those included that have come and said nothing yet.
func (d *doors) pause() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paused == nil {
		d.paused = make(chan struct{})
	}
	for _, each := range d.listeners {
		if !each.forGuests() {
			continue
		}
		each.control(each.deafen)
		each.clear()
	}
}

// resume lets everybody in again, or nobody.
func (d *doors) resume() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paused == nil {
		return nil
	}
	for i, each := range d.listeners {
		if !each.forGuests() {
			continue
		}
		// The kernel cuts the length of the queue to what the machine allows.
		if err := each.control(func(fd int) error { return unix.Listen(fd, math.MaxInt32) }); err != nil {
			for _, opened := range d.listeners[:i] {
				if opened.forGuests() {
					opened.control(opened.deafen)
				}
			}
			return fmt.Errorf("%s cannot listen on %s again: %w", each.name, each.Addr(), err)
		}
	}
	close(d.paused)
	d.paused = nil
	return nil
}

// deafen ends listening. The kernel lets go of a port that it chose itself, so that is asked for by its number; a port that
// was asked for before is still there.
func (d *door) deafen(fd int) error {
	if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
		return err
	}
	at := d.Addr().(*net.TCPAddr).AddrPort()
	var again unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if at.Addr().Is4() {
		again = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	if err := unix.Bind(fd, again); !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// control does something with the descriptor of the listener.
func (d *door) control(do func(fd int) error) error {
	raw, err := d.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	return errors.Join(raw.Control(func(fd uintptr) { done = do(int(fd)) }), done)
}
