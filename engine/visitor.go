package main

import (
	"container/list"
	"crypto/x509"
	"net"
	"sync/atomic"
	"time"
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

	begun   time.Time     // when the library got it; this and the next two are guarded by the doors' lock too
	waited  bool          // before that, for its turn
	working *list.Element // among those that are worked on; nil for one that does not count
	idle    bool          // of those, one whose peer has had its turn for a while
	settled atomic.Bool   // nobody measures it any more
	since   atomic.Int64  // nanoseconds from the start of this program until it became this machine's turn
	worked  atomic.Int64  // nanoseconds it was
	asked   atomic.Int64  // nanoseconds from the start of this program until it became the peer's turn; 0 while it is this machine's
	slowest atomic.Int64  // nanoseconds that the peer needed for a turn, at most

	chains atomic.Pointer[[][]*x509.Certificate] // that were verified here; nil where TLS itself has verified
}

// leaves takes it out of the strangers. It wants the lock.
func (v *visitor) leaves() {
	if v.stranger == nil {
		return
	}
	v.stranger.room.leave(v.stranger)
	v.door.doors.strangers--
	v.rests()
	v.stranger = nil
	v.settled.Store(true)
	if v.door.doors.byEndpoints[v.at] == v { // A peer that broke off may have come again from the same port meanwhile.
		delete(v.door.doors.byEndpoints, v.at)
	}
}

// rests has it count no more among those that are worked on. It wants the lock.
func (v *visitor) rests() {
	if v.working == nil {
		return
	}
	v.door.doors.working.Remove(v.working)
	v.working = nil
	if v.idle {
		v.idle = false
		v.door.doors.rush.idle--
	}
}

// Read notes the first thing that a stranger says, and how long it had to wait for this machine before it was asked to say
// more.
func (v *visitor) Read(b []byte) (int, error) {
	if v.settled.Load() {
		return v.TCPConn.Read(b)
	}
	v.stops()
	n, err := v.TCPConn.Read(b)
	v.goesOn()
	if n > 0 && !v.spoken.Load() {
		v.spoken.Store(true)
		v.door.doors.mu.Lock()
		defer v.door.doors.mu.Unlock()
		if v.stranger != nil {
			v.stranger.room.speaks(v.stranger)
		}
	}
	return n, err
}

var start = time.Now()

// goesOn notes that it is this machine's turn.
func (v *visitor) goesOn() {
	now := int64(time.Since(start))
	v.since.Store(now)
	if asked := v.asked.Swap(0); asked > 0 && now-asked > v.slowest.Load() {
		v.slowest.Store(now - asked)
	}
}

// stops notes that it is the peer's turn.
func (v *visitor) stops() {
	now := int64(time.Since(start))
	v.worked.Add(now - v.since.Load())
	v.asked.Store(now)
}

// isIdle tells whether the peer has had its turn for a while by a moment, in nanoseconds from the start of this program.
func (v *visitor) isIdle(now int64) bool {
	asked := v.asked.Load()
	return asked > 0 && now-asked >= int64(idleTime)
}

// Close is told to the door first: its descriptor is free from then on.
func (v *visitor) Close() error {
	err := v.TCPConn.Close()
	v.door.doors.mu.Lock()
	defer v.door.doors.mu.Unlock()
	if v.stranger != nil && v.waited && v.spoken.Load() && v.stranger.group != nil && v.slowest.Load() < int64(ownFault) {
		v.door.doors.pace.lose() // It has not sent CONNECT, nobody has turned it out, and it did its part in time.
	}
	v.leaves()
	if v.counted {
		v.counted = false
		v.door.doors.clients--
	}
	if v.standing != nil {
		v.door.doors.tally.leave(v.standing)
		v.standing = nil
	}
	v.door.doors.letIn(time.Now())
	return err
}
