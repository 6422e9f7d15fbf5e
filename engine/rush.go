package main

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// beatEvery is how often it is looked at who waits, while somebody does.
	beatEvery = 25 * time.Millisecond
	// noticed is from when on waiting is worth being counted, and being asked whether the peer is still there.
	noticed = 10 * time.Millisecond
	// idleTime is from when on a peer that says nothing keeps nobody waiting, while this machine has little to do.
	idleTime = 50 * time.Millisecond
	// ownFault is the longest silence of a peer that this machine's being late can account for.
	ownFault = 500 * time.Millisecond
)

// rush is what came of connections that had to wait for their turn, since the start.
type rush struct {
	beating bool
	idle    int    // of those that are worked on, whose peers have had their turn for a while
	waited  uint64 // their login was begun in the end
	left    uint64 // they were gone by then
	dropped uint64 // they were closed since they would have given up before the end of a login
}

// waiting tells the broker of those that wait for their turn.
type waiting struct {
	Type    string `json:"type"`
	Waiting int    `json:"waiting"`
	AtOnce  int    `json:"at_once"`
	Waited  uint64 `json:"waited"`
	Left    uint64 `json:"left"`
	Dropped uint64 `json:"dropped"`
}

// queue is how it stands with them.
func (d *doors) queue() waiting {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := waiting{Type: "waiting", Waited: d.rush.waited, Left: d.rush.left, Dropped: d.rush.dropped}
	for _, each := range d.listeners {
		if each.paced() {
			w.Waiting += each.queue.held()
		}
	}
	if !d.unpaced {
		w.AtOnce = d.pace.limit
	}
	return w
}

// paced tells whether the connections of a listener wait while this machine is busy with others. Links between brokers
// never do: they are few, and carry what many others sent. It wants the lock.
func (d *door) paced() bool {
	return !d.doors.unpaced && (d.name == "client" || d.name == "websocket")
}

// letIn hands over to the library whose turn it is, on all listeners in turns, and comes back later where somebody is left.
// It wants the lock.
func (d *doors) letIn(now time.Time) {
	waiting := 0
	for more := true; more; {
		more, waiting = false, 0
		for _, each := range d.listeners {
			more = each.handOver(now) || more
			waiting += each.queue.held()
		}
	}
	if waiting > 0 && !d.rush.beating {
		d.rush.beating = true
		time.AfterFunc(beatEvery, d.beat)
	}
}

// beat looks after those that wait.
func (d *doors) beat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.rush.beating = false
	for e := d.working.Front(); e != nil; {
		v, following := e.Value.(*visitor), e.Next()
		if took := now.Sub(v.begun); took >= fairTime || took >= silentTime && !v.spoken.Load() {
			v.rests()
		}
		e = following
	}
	d.pace.look(beatEvery, d.countIdle(int64(now.Sub(start))))
	for _, each := range d.listeners {
		longest := each.longestWait()
		for s := each.queue.oldest(); s != nil && now.Sub(s.since) >= longest; s = each.queue.oldest() {
			each.drop(s)
		}
	}
	d.letIn(now)
	if !d.rush.beating {
		d.pace.calm()
	}
}

// countIdle finds out who of those that are worked on only waits for its peer. They keep nobody out, unless this machine is
// busy with many others: then it is late, and peers seem slow that are not. It returns whether this machine is idle, and
// wants the lock.
func (d *doors) countIdle(now int64) bool {
	d.rush.idle = 0
	for e := d.working.Front(); e != nil; e = e.Next() {
		v := e.Value.(*visitor)
		if v.idle = v.isIdle(now); v.idle {
			d.rush.idle++
		}
	}
	if busy := d.working.Len() - d.rush.idle; 4*busy < d.pace.limit {
		return true
	}
	d.rush.idle = 0
	for e := d.working.Front(); e != nil; e = e.Next() {
		e.Value.(*visitor).idle = false
	}
	return false
}

// longestWait is how long somebody may wait for his turn. It wants the lock.
func (d *door) longestWait() time.Duration {
	if d.paced() {
		return d.doors.pace.longestWait()
	}
	return d.patience
}

// drop closes a connection that has waited for too long: for a place or for this machine. It wants the lock.
func (d *door) drop(s *stranger) {
	if d.room.full() || !d.paced() {
		d.turnedAway++
	} else {
		d.doors.rush.dropped++
	}
	d.turnOut(s)
}

// handOver gives the library the next one, or lets it go; false when nobody's turn has come. It wants the lock.
func (d *door) handOver(now time.Time) bool {
	if d.queue.held() == 0 || len(d.handed) == cap(d.handed) || d.paced() && !d.doors.pace.admits(d.doors.working.Len()-d.doors.rush.idle) {
		return false
	}
	s := d.queue.next()
	if !d.makeRoom(d.room, s.visitor.at.remote.Addr(), now) {
		return false
	}
	waited := now.Sub(s.since)
	if waited >= noticed {
		there, waits := peerOf(s.visitor.TCPConn)
		switch {
		case !there:
			d.doors.rush.left++
			d.turnOut(s)
			return true
		case max(waited, waits) >= d.longestWait():
			d.drop(s)
			return true
		}
		if d.paced() {
			d.doors.rush.waited++
			s.visitor.waited = true
		}
	}
	d.begin(s, now)
	return true
}

// begin gives a stranger a place, and the library its connection. It wants the lock.
func (d *door) begin(s *stranger, now time.Time) {
	v := s.visitor
	d.queue.leave(s)
	v.stranger = &stranger{visitor: v, since: now, until: now.Add(d.patience)}
	d.room.enter(v.stranger, v.at.remote.Addr())
	v.begun = now
	v.goesOn()
	if d.paced() {
		v.working = d.doors.working.PushBack(v)
	}
	d.handed <- v
}

// rest has nobody wait for a connection whose login takes its time for other reasons than work.
func (d *doors) rest(peer net.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	remote, ok := peer.(*net.TCPAddr)
	if !ok {
		return
	}
	for e := d.working.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visitor); v.at.remote == remote.AddrPort() {
			v.rests()
			d.letIn(time.Now())
			return
		}
	}
}

// peerOf asks the kernel whether the peer of a connection is still there, and for how long it has said nothing: it may have
// waited for longer than this program knows. Nothing is read.
func peerOf(conn *net.TCPConn) (there bool, waits time.Duration) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false, 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			there, waits = info.State == unix.BPF_TCP_ESTABLISHED, time.Duration(info.Last_ack_recv)*time.Millisecond
		}
	})
	return there, waits
}
