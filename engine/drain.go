package main

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// portionEvery is how often connections are moved.
	portionEvery = 100 * time.Millisecond
	// leadersEvery is how often it is looked for groups that this member leads.
	leadersEvery = 500 * time.Millisecond
	// leadersFirst is how long connections wait for leaders to be handed over.
	leadersFirst = time.Second
	// lostFor is how long a group is without a leader before this member may lead it again, draining or not.
	lostFor = 5 * time.Second
	// heardWithin is how long ago a member of a group may have been heard and be there. A leader is heard every second.
	heardWithin = 3 * time.Second
	// movesEvery is how often the broker is told how far a drain is.
	movesEvery = 250 * time.Millisecond
	// longestDrain is the most that a drain may be spread over.
	longestDrain = 24 * time.Hour
	// noNewStreams is the library's tag of a server that the placement of streams passes over.
	noNewStreams = "!jetstream"
	// drainReason is why connections end that are moved.
	drainReason = "moved to another broker by a drain"
)

// drainOrder is what the broker wants: a drain, spread over a time, or none any more.
type drainOrder struct {
	OverMS int64  `json:"over_ms"`
	Off    bool   `json:"off"`
	Serial uint64 `json:"serial"`
}

// drainAnswer says that a drain has begun or was taken back; with a problem, that it was not.
type drainAnswer struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id"`
	Problem string          `json:"problem"`
}

// moving tells how far a drain is.
type moving struct {
	Type string `json:"type"`
	// Serial is that of the latest order that was followed.
	Serial   uint64 `json:"serial"`
	Draining bool   `json:"draining"`
	// Left are the clients and leafnodes that are still there, Ended those that the drain has ended.
	Left  int `json:"left"`
	Ended int `json:"ended"`
	// Leaders are the groups of streams and consumers that this member still leads, HandedOver those it has given up.
	Leaders    int `json:"leaders"`
	HandedOver int `json:"handed_over"`
}

// drain moves connections and leaders of this server elsewhere. Streams, links and the broker's own connections stay, so
// that it can be taken back.
type drain struct {
	srv     *server.Server
	doors   *doors
	because func(id uint64, reason string) // notes why a connection ends
	halted  <-chan struct{}

	turn sync.Mutex    // one word of the broker after the other
	stop chan struct{} // ends what runs; nil while nothing does
	done chan struct{} // closed when it has ended

	held     map[string]bool      // groups that are kept from being led here; the goroutine's, or of who has stopped it
	leadless map[string]time.Time // since when a group is without a leader; the same

	mu    sync.Mutex
	state moving
}

func newDrain(srv *server.Server, doors *doors, because func(id uint64, reason string), halted <-chan struct{}) *drain {
	return &drain{srv: srv, doors: doors, because: because, halted: halted, state: moving{Type: "moving"}}
}

// progress is what the broker is told.
func (d *drain) progress() moving {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *drain) note(change func(state *moving)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state)
}

// tags are those of the server, whatever its file says.
func (d *drain) tags(tags []string) []string {
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return tag == noNewStreams })
	if d.progress().Draining {
		tags = append(tags, noNewStreams)
	}
	return tags
}

// follow does what the broker wants. A drain that is under way goes on with the new time for who is left.
func (d *drain) follow(order drainOrder) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if order.Off {
		return d.end(order.Serial)
	}
	over := time.Duration(order.OverMS) * time.Millisecond
	if order.OverMS < 0 || over > longestDrain {
		return errors.New("a drain takes 0 s to 24 h")
	}
	again := d.progress().Draining
	d.halt()
	d.doors.pause()
	d.stop, d.done = make(chan struct{}), make(chan struct{})
	if !again {
		d.held, d.leadless = map[string]bool{}, map[string]time.Time{}
		d.note(func(state *moving) {
			*state = moving{Type: "moving", Draining: true, Left: len(d.srv.Guests()), Leaders: d.led()}
		})
		d.srv.ChangeTags(d.tags)
	}
	d.note(func(state *moving) { state.Serial = order.Serial })
	go d.run(over, !again, d.stop, d.done)
	return nil
}

// end takes a drain back: listeners accept again, who is left hears so, and this member may lead again.
func (d *drain) end(serial uint64) error {
	if err := d.doors.resume(); err != nil {
		return err // It goes on.
	}
	if !d.progress().Draining {
		d.note(func(state *moving) { state.Serial = serial })
		return nil
	}
	d.halt()
	for _, node := range d.srv.RaftNodes() {
		d.release(node)
	}
	d.note(func(state *moving) { *state = moving{Type: "moving", Serial: serial} })
	d.srv.ChangeTags(d.tags)
	for _, id := range d.srv.Guests() {
		d.srv.InfoClientByID(id, false)
	}
	return nil
}

func (d *drain) halt() {
	if d.stop != nil {
		close(d.stop)
		<-d.done
		d.stop = nil
	}
}

// run moves everything, and goes on to see to leaders and late connections, until it is stopped.
func (d *drain) run(over time.Duration, tell bool, stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	begun := time.Now()
	d.handOver(begun)
	if tell {
		for _, id := range d.srv.Guests() {
			d.srv.InfoClientByID(id, true)
		}
	}
	ticker := time.NewTicker(portionEvery)
	defer ticker.Stop()
	var queue []uint64
	var owed float64
	for looked := begun; ; {
		var now time.Time
		select {
		case <-stop:
			return
		case <-d.halted:
			return
		case now = <-ticker.C:
		}
		if now.Sub(looked) >= leadersEvery {
			d.handOver(now)
			looked = now
		}
		if len(queue) == 0 {
			queue = d.srv.Guests()
			rand.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
		}
		if now.Sub(begun) >= leadersFirst || d.progress().Leaders == 0 {
			var count int
			count, owed = portion(len(queue), owed, over-now.Sub(begun), portionEvery)
			queue = d.move(queue, count)
		}
		left := len(d.srv.Guests())
		d.note(func(state *moving) { state.Left = left })
	}
}

// portion is how many of those that are left are to be moved now, so that all are when the time is over and as many at
// its beginning as at its end; and which part of the next one is due already.
func portion(left int, owed float64, remaining, every time.Duration) (int, float64) {
	turns := int(remaining / every)
	if turns <= 0 {
		return left, 0
	}
	owed += (float64(left) - owed) / float64(turns+1)
	count := min(int(owed), left)
	return count, owed - float64(count)
}

// move ends the first connections of a queue and returns the others.
func (d *drain) move(queue []uint64, count int) []uint64 {
	ended := 0
	for _, id := range queue[:count] {
		d.because(id, drainReason)
		if d.srv.DisconnectClientByID(id) == nil {
			ended++
		}
	}
	d.note(func(state *moving) { state.Ended += ended })
	return queue[count:]
}

// led counts the groups that this member leads.
func (d *drain) led() (count int) {
	for _, node := range d.srv.RaftNodes() {
		if node.Leader() {
			count++
		}
	}
	return count
}

// handOver gives up what another member can lead, and keeps this one from leading it. Where nobody else leads, it may: a
// stream without a leader is of no use to anybody.
func (d *drain) handOver(now time.Time) {
	given := 0
	for _, node := range d.srv.RaftNodes() {
		name := node.Group()
		switch {
		case node.Leader():
			delete(d.leadless, name)
			if heir := d.heir(node, now); heir == "" {
				d.release(node)
			} else if node.StepDown(heir) == nil {
				d.hold(node)
				given++
			}
		case node.Leaderless() || !leaderHeard(node, now):
			if since, known := d.leadless[name]; !known {
				d.leadless[name] = now
			} else if now.Sub(since) >= lostFor {
				d.release(node)
			}
		default:
			delete(d.leadless, name)
			d.hold(node)
		}
	}
	leaders := d.led()
	d.note(func(state *moving) { state.Leaders, state.HandedOver = leaders, state.HandedOver+given })
}

func (d *drain) hold(node server.RaftNode) {
	if !node.IsObserver() {
		node.SetObserver(true)
		d.held[node.Group()] = true
	}
}

// release lets this member lead a group again, if it was the drain that kept it from that.
func (d *drain) release(node server.RaftNode) {
	if d.held[node.Group()] {
		node.SetObserver(false)
		delete(d.held, node.Group())
	}
}

// leaderHeard tells whether the leader of a group has been heard lately. Who may not lead does not notice by itself that a
// leader is gone.
func leaderHeard(node server.RaftNode, now time.Time) bool {
	leader := node.GroupLeader()
	return slices.ContainsFunc(node.Peers(), func(peer *server.Peer) bool {
		return peer.ID == leader && now.Sub(peer.Last) < heardWithin
	})
}

// heir returns a member of a group that is led here which has all of it, is there, and does not drain itself: two that
// drain would pass the lead to and fro, and the group would be without a leader most of the time. It is empty for none.
func (d *drain) heir(node server.RaftNode, now time.Time) string {
	for _, peer := range node.Peers() {
		if peer.ID != node.ID() && peer.Current && now.Sub(peer.Last) < heardWithin &&
			!slices.Contains(d.srv.TagsOf(peer.ID), noNewStreams) {
			return peer.ID
		}
	}
	return ""
}
