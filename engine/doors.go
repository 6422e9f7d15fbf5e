package main

import (
	"container/list"
	"errors"
	"math"
	"net"
	"net/netip"
	"runtime"
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
	// queueTimes is how many times as many connections may wait for a place as there are places.
	queueTimes = 10
	// mostHanded is how many connections the library may be behind.
	mostHanded = 256
	// noDescriptorsPause is how long a listener rests that could not even accept.
	noDescriptorsPause = 20 * time.Millisecond
)

// doors are the public listeners. They bound the connections that have not logged in yet, on each listener and by what
// descriptors are left, and those that have. They are the library's hooks.
type doors struct {
	answering time.Duration // how long the answer to a question can take
	verified  atomic.Pointer[verifiedBy]

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
	rush        rush
	pace        pace
	working     list.List // of *visitor, those that count among the logins worked on at once, in the order they were begun
	unpaced     bool      // nobody waits for others
}

// endpoints name a connection whatever is wrapped around it.
type endpoints struct{ local, remote netip.AddrPort }

// open prepares doors that nobody uses yet.
func (d *doors) open(opts *server.Options, hello brokerHello) {
	d.answering = time.Duration(hello.AnswerWithinMS) * time.Millisecond
	d.most, d.byEndpoints, d.tally = math.MaxInt, map[endpoints]*visitor{}, tally{}
	d.pace = newPace(runtime.GOMAXPROCS(0), d.places)
	d.renew(opts, hello)
}

// renew takes over limits and times for who comes from now on.
func (d *doors) renew(opts *server.Options, hello brokerHello) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts, d.places, d.descriptors = opts, hello.MaxUnauthenticated, countDescriptors()
	for _, each := range d.listeners {
		each.patience, each.room.places, each.queue.places = d.patience(each.name), d.places, queueTimes*d.places
	}
	d.unpaced = hello.MaxHandshakes == 0
	d.pace.bound(runtime.GOMAXPROCS(0), min(hello.MaxHandshakes, d.places))
}

// Listener is the library's hook.
func (d *doors) Listener(name string, l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	opened := &door{
		TCPListener: tcp, doors: d, name: name, patience: d.patience(name), room: newRoom(d.places), queue: newRoom(queueTimes * d.places),
		handed: make(chan *visitor, mostHanded), failed: make(chan error), closed: make(chan struct{}),
	}
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
	state := tlsOf(conn)
	standing := standingOf(state)
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.visitorOf(conn)
	if v == nil {
		return nil
	}
	if err := d.full(kind); err != nil {
		return err
	}
	now := time.Now()
	if v.working != nil {
		v.stops()
		d.pace.finish(time.Duration(v.worked.Load()), now.Sub(v.begun))
	}
	v.leaves()
	d.letIn(now)
	if kind == server.CLIENT {
		d.clients++
		v.counted = true
	}
	if known := (*d.verified.Load())[v.door.name]; known != nil && standing.TLS == verifiedTLS && v.chains.Load() == nil {
		known.admitted(v.at.remote.Addr(), state)
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
			d.letIn(now)
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
		*counts[each.name] = each.turnedAway
	}
	return c
}

// door is one listener.
type door struct {
	*net.TCPListener
	doors      *doors
	name       string
	patience   time.Duration
	room       *room // of those the library has
	queue      *room // of those it does not have yet; they have been told nothing
	turnedAway uint64
	receiving  sync.Once
	handed     chan *visitor
	failed     chan error // of the listener
	closed     chan struct{}
	closeOnce  sync.Once
}

// Close also ends an Accept that waits.
func (d *door) Close() error {
	d.closeOnce.Do(func() { close(d.closed) })
	err := d.TCPListener.Close()
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	d.clear()
	return err
}

// Accept returns the next connection whose turn it is.
func (d *door) Accept() (net.Conn, error) {
	d.receiving.Do(func() { go d.receive() })
	select {
	case v := <-d.handed:
		return v, nil
	case err := <-d.failed:
		return nil, err
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// receive takes connections from the kernel as they come: only so can it be seen who waits.
func (d *door) receive() {
	for {
		conn, err := d.TCPListener.AcceptTCP()
		if resumed := d.resumed(); resumed != nil {
			if err == nil {
				refuse(conn)
				continue
			}
			select {
			case <-resumed:
				continue
			case <-d.closed:
				return
			}
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			d.recover()
			time.Sleep(noDescriptorsPause)
			continue
		}
		if err == nil {
			d.arrive(conn)
			continue
		}
		select {
		case d.failed <- err:
		case <-d.closed:
			return
		}
	}
}

// arrive has a connection wait for its turn, which may come at once, or closes it.
func (d *door) arrive(conn *net.TCPConn) {
	at := endpoints{conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()}
	number := descriptor(conn)
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	now := time.Now()
	select {
	case <-d.closed:
		refuse(conn)
		return
	default:
	}
	if d.hopeless(at.remote.Addr()) || !d.affordable(number, at.remote.Addr(), now) || !d.makeRoom(d.queue, at.remote.Addr(), now) {
		d.turnedAway++
		refuse(conn)
		return
	}
	v := &visitor{TCPConn: conn, door: d, at: at}
	v.stranger = &stranger{visitor: v, since: now}
	d.queue.enter(v.stranger, at.remote.Addr())
	d.queue.speaks(v.stranger) // It has not been asked to say anything.
	d.doors.strangers++
	d.doors.byEndpoints[at] = v
	d.doors.letIn(now)
}

// hopeless tells of an address that holds half of all places, where there is none left and nobody is told to go soon. It
// wants the lock.
func (d *door) hopeless(newcomer netip.Addr) bool {
	return !d.paced() && d.room.full() && d.room.share(newcomer) >= max(d.room.places/2, 1)
}

// makeRoom turns somebody out where a room is full; false where nobody is to go. It wants the lock.
func (d *door) makeRoom(of *room, newcomer netip.Addr, now time.Time) bool {
	if !of.full() {
		return true
	}
	victim := of.victim(newcomer, now)
	if victim == nil {
		return false
	}
	d.turnOut(victim)
	d.turnedAway++
	return true
}

func refuse(conn *net.TCPConn) {
	conn.SetLinger(0) // No trace is kept of it.
	conn.Close()
}

// turnOut closes a stranger's connection under the library, which notices. It wants the lock.
func (d *door) turnOut(s *stranger) {
	s.visitor.leaves()
	refuse(s.visitor.TCPConn)
}

// clear turns out all that have not sent CONNECT. It wants the lock.
func (d *door) clear() {
	for _, each := range []*room{d.queue, d.room} {
		for oldest := each.oldest(); oldest != nil; oldest = each.oldest() {
			d.turnOut(oldest)
		}
	}
}
