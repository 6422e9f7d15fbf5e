package main

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// sweepEvery is how often those are looked for whose time is over.
	sweepEvery = 250 * time.Millisecond
	// spareTime lets the library end a late connection first, since it tells the peer why.
	spareTime = 250 * time.Millisecond
	// noDescriptorsPause is how long a listener rests that could not even accept.
	noDescriptorsPause = 20 * time.Millisecond
)

// doors are the public listeners. They bound the connections that have not logged in yet, on each listener and by what
// descriptors are left, and those that have. They are the library's hooks.
type doors struct {
	answering time.Duration // how long the answer to a question can take

	mu          sync.Mutex // guards what follows, and the rooms
	opts        *server.Options
	places      int // of each listener
	descriptors descriptors
	clients     int       // that are in
	tally       tally     // of all that are in
	strangers   int       // in all rooms
	most        int       // that strangers may be, for want of descriptors
	scarcity    time.Time // when there were too many last
	listeners   []*door
	paused      chan struct{}          // closed when who comes from outside the cluster is let in again; nil while that is so
	byEndpoints map[endpoints]*visitor // that have not logged in
}

// endpoints name a connection whatever is wrapped around it.
type endpoints struct{ local, remote netip.AddrPort }

// open prepares doors that nobody uses yet.
func (d *doors) open(opts *server.Options, hello brokerHello) {
	d.answering = time.Duration(hello.AnswerWithinMS) * time.Millisecond
	d.most, d.byEndpoints, d.tally = math.MaxInt, map[endpoints]*visitor{}, tally{}
	d.renew(opts, hello)
}

// renew takes over limits and times for who comes from now on.
func (d *doors) renew(opts *server.Options, hello brokerHello) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts, d.places, d.descriptors = opts, hello.MaxUnauthenticated, countDescriptors()
	for _, each := range d.listeners {
		each.patience, each.room.places = d.patience(each.name), d.places
	}
}

// Listener is the library's hook.
func (d *doors) Listener(name string, l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	opened := &door{TCPListener: tcp, doors: d, name: name, patience: d.patience(name), room: newRoom(d.places), left: make(chan struct{}, 1), closed: make(chan struct{})}
	d.listeners = append(d.listeners, opened)
	return opened
}

// patience is how long a listener waits for CONNECT: the times the library has for TLS and for what follows. It wants the
// lock.
func (d *doors) patience(name string) time.Duration {
	o := d.opts
	var times []float64
	switch name {
	case "client":
		times = []float64{o.TLSTimeout, o.AuthTimeout}
	case "websocket":
		times = []float64{2 * o.Websocket.HandshakeTimeout.Seconds(), max(o.Websocket.AuthTimeout, o.AuthTimeout)}
	case "leafnode":
		times = []float64{o.LeafNode.TLSTimeout, o.LeafNode.AuthTimeout}
	case "cluster":
		times = []float64{o.Cluster.TLSTimeout, o.Cluster.AuthTimeout}
	case "gateway":
		times = []float64{o.Gateway.TLSTimeout, o.Gateway.AuthTimeout}
	}
	total := spareTime
	for _, seconds := range times {
		total += time.Duration(seconds * float64(time.Second))
	}
	return total
}

// Connecting is the library's hook.
func (d *doors) Connecting(kind int, conn net.Conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.visitorOf(conn)
	if v == nil {
		return nil
	}
	v.door.room.asks(v.stranger, time.Now().Add(d.answering+time.Second))
	return d.full(kind)
}

// Admitted is the library's hook.
func (d *doors) Admitted(kind int, conn net.Conn) error {
	standing := standingOf(tlsOf(conn))
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.visitorOf(conn)
	if v == nil {
		return nil
	}
	if err := d.full(kind); err != nil {
		return err
	}
	v.leaves()
	if kind == server.CLIENT {
		d.clients++
		v.counted = true
	}
	standing.Kind = kindOf(kind, v.door.name)
	v.standing = d.tally.enter(standing)
	return nil
}

// full wants the lock.
func (d *doors) full(kind int) error {
	if most := d.opts.MaxConn; kind == server.CLIENT && (most < 0 || most > 0 && d.clients >= most) {
		return server.ErrTooManyConnections
	}
	return nil
}

// visitorOf returns nil for a connection that did not come through a door, or has logged in. It wants the lock.
func (d *doors) visitorOf(conn net.Conn) *visitor {
	local, ok := conn.LocalAddr().(*net.TCPAddr)
	remote, also := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !also {
		return nil
	}
	return d.byEndpoints[endpoints{local.AddrPort(), remote.AddrPort()}]
}

// watch ends those whose time is over, until the channel is closed.
func (d *doors) watch(ended <-chan struct{}) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case now := <-ticker.C:
			d.mu.Lock()
			d.relax(now)
			for _, each := range d.listeners {
				for _, s := range each.room.late(now) {
					each.turnOut(s)
				}
			}
			d.mu.Unlock()
		}
	}
}

// crowd tells the broker how many connections each listener has turned away since the start, for want of places.
type crowd struct {
	Type      string `json:"type"`
	Client    uint64 `json:"client"`
	Websocket uint64 `json:"websocket"`
	Leafnode  uint64 `json:"leafnode"`
	Cluster   uint64 `json:"cluster"`
	Gateway   uint64 `json:"gateway"`
}

func (d *doors) crowd() crowd {
	c := crowd{Type: "crowd"}
	counts := map[string]*uint64{"client": &c.Client, "websocket": &c.Websocket, "leafnode": &c.Leafnode, "cluster": &c.Cluster, "gateway": &c.Gateway}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, each := range d.listeners {
		*counts[each.name] = each.turnedAway.Load()
	}
	return c
}

// door is one listener.
type door struct {
	*net.TCPListener
	doors      *doors
	name       string
	patience   time.Duration
	room       *room
	turnedAway atomic.Uint64
	left       chan struct{} // holds one: somebody has left since
	closed     chan struct{}
	closeOnce  sync.Once
}

// Close also ends an Accept that waits for a place.
func (d *door) Close() error {
	d.closeOnce.Do(func() { close(d.closed) })
	return d.TCPListener.Close()
}

// Accept returns the next connection there is a place for.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.TCPListener.AcceptTCP()
		if resumed := d.resumed(); resumed != nil {
			if err == nil {
				d.refuse(conn)
				continue
			}
			select {
			case <-resumed:
				continue
			case <-d.closed:
				return nil, net.ErrClosed
			}
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			d.recover()
			time.Sleep(noDescriptorsPause)
			continue
		}
		if err != nil {
			return nil, err
		}
		if v := d.receive(conn); v != nil {
			return v, nil
		}
	}
}

// receive takes a connection in, waits for a place where that is fair, or closes it and returns nil.
func (d *door) receive(conn *net.TCPConn) *visitor {
	local, remote := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	number := descriptor(conn)
	for {
		v, again := d.admit(conn, number, endpoints{local, remote})
		if v != nil {
			return v
		}
		if again <= 0 {
			d.turnAway(conn)
			return nil
		}
		timer := time.NewTimer(again)
		select {
		case <-d.left:
		case <-timer.C:
		case <-d.closed:
			timer.Stop()
			conn.Close()
			return nil
		}
		timer.Stop()
	}
}

// admit takes a connection in, in the place of another where there is none free. Without success it returns after
// what time it is worth another try, 0 for never.
func (d *door) admit(conn *net.TCPConn, number uintptr, at endpoints) (*visitor, time.Duration) {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	now := time.Now()
	if !d.affordable(number, at.remote.Addr(), now) {
		return nil, 0
	}
	if d.room.full() {
		victim := d.room.victim(at.remote.Addr(), now)
		switch oldest := d.room.oldest(); {
		case victim != nil:
			d.turnOut(victim)
			d.turnedAway.Add(1)
		case d.room.share(at.remote.Addr()) >= max(d.room.places/2, 1):
			return nil, 0 // Those that wait behind it may be others.
		case oldest != nil:
			return nil, max(min(fairTime-now.Sub(oldest.since), silentTime), time.Millisecond)
		default:
			return nil, fairTime
		}
	}
	v := &visitor{TCPConn: conn, door: d, at: at}
	v.stranger = &stranger{visitor: v, since: now, until: now.Add(d.patience)}
	d.room.enter(v.stranger, at.remote.Addr())
	d.doors.strangers++
	d.doors.byEndpoints[at] = v
	return v, 0
}

func (d *door) turnAway(conn *net.TCPConn) {
	d.turnedAway.Add(1)
	d.refuse(conn)
}

func (d *door) refuse(conn *net.TCPConn) {
	conn.SetLinger(0) // No trace is kept of it.
	conn.Close()
}

// turnOut closes a stranger's connection under the library, which notices. It wants the lock.
func (d *door) turnOut(s *stranger) {
	s.visitor.leaves()
	s.visitor.TCPConn.SetLinger(0)
	s.visitor.TCPConn.Close()
}
