package main

import (
	"net"
	"sync/atomic"
)

// visitor is a connection that came through a door. All else is the TCP connection's: the library writes many buffers at
// once to those.
type visitor struct {
	*net.TCPConn
	door     *door
	at       endpoints
	stranger *stranger // nil once it has logged in or is gone; this and the next are guarded by the doors' lock
	counted  bool      // among the clients that are in
	standing *counted  // nil before it has logged in
	spoken   atomic.Bool
}

// leaves takes it out of the strangers. It wants the lock.
func (v *visitor) leaves() {
	if v.stranger == nil {
		return
	}
	v.door.room.leave(v.stranger)
	v.door.doors.strangers--
	v.stranger = nil
	delete(v.door.doors.byEndpoints, v.at)
	select {
	case v.door.left <- struct{}{}:
	default:
	}
}

// Read notes the first thing that a stranger says.
func (v *visitor) Read(b []byte) (int, error) {
	n, err := v.TCPConn.Read(b)
	if n > 0 && !v.spoken.Load() {
		v.spoken.Store(true)
		v.door.doors.mu.Lock()
		defer v.door.doors.mu.Unlock()
		if v.stranger != nil {
			v.door.room.speaks(v.stranger)
		}
	}
	return n, err
}

// Close is told to the door first: its descriptor is free from then on.
func (v *visitor) Close() error {
	err := v.TCPConn.Close()
	v.door.doors.mu.Lock()
	defer v.door.doors.mu.Unlock()
	v.leaves()
	if v.counted {
		v.counted = false
		v.door.doors.clients--
	}
	if v.standing != nil {
		v.door.doors.tally.leave(v.standing)
		v.standing = nil
	}
	return err
}
