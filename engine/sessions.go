package main

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mostEnded is how many sessions are remembered that have ended, and mostEndedBytes about what they may take together.
	mostEnded      = 10_000
	mostEndedBytes = 32 << 20
	// mostOnPage and bytesOfPage bound what the broker is told of sessions in one frame.
	mostOnPage  = 2000
	bytesOfPage = 512 << 10
	// mostShownEnded is how many connections are named in the line about sessions that the broker ends.
	mostShownEnded = 20
)

// session is a connection of a client or a leafnode that was let in.
type session struct {
	Connection uint64 `json:"connection"`
	Kind       string `json:"kind"`
	Address    string `json:"address"`
	Account    string `json:"account"`
	Username   string `json:"username"`
	TLS        string `json:"tls"`
	// Since is when it was let in, Unix seconds.
	Since float64 `json:"since"`
	// Generation and Holder are of the verdict; without questions there is none.
	Generation uint64          `json:"generation,omitempty"`
	Holder     json.RawMessage `json:"holder,omitempty"`
	// Traffic is there when it was asked for, and of those that have ended.
	Traffic *carried `json:"traffic,omitempty"`
	// Rates are there when the busiest were asked for.
	Rates *rates `json:"rates,omitempty"`
	// Number counts the sessions that have ended, Until is when and Reason why one did.
	Number uint64  `json:"number,omitempty"`
	Until  float64 `json:"until,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// carried is what went over a connection since it was made, and what waits to be sent to it.
type carried struct {
	RTT      float64 `json:"rtt"`     // seconds; 0 when it was not measured yet
	Pending  int64   `json:"pending"` // bytes
	InMsgs   int64   `json:"in_msgs"` // from the peer
	InBytes  int64   `json:"in_bytes"`
	OutMsgs  int64   `json:"out_msgs"`
	OutBytes int64   `json:"out_bytes"`
}

func carriedBy(t server.Traffic) carried {
	return carried{t.RTT.Seconds(), t.Pending, t.InMsgs, t.InBytes, t.OutMsgs, t.OutBytes}
}

// endable is a connection of the library.
type endable interface {
	server.ClientAuthentication
	Account() *server.Account
	Closing() bool
	Websocket() bool
	ShownUser() string
	Traffic() server.Traffic
	EndNow()
}

type liveSession struct {
	session
	conn endable
}

// sessions is the table of those that are connected, and of the last ones that were. Connections of the broker itself are
// not in it. Nobody may hold a lock of the library's that wants one of these, but for that of a connection that ends.
type sessions struct {
	mu    sync.Mutex
	live  map[uint64]*liveSession
	ended []session // a ring, once it is full
	count uint64    // of those that have ended
	first uint64    // how many of them are forgotten
	size  int       // of the others

	looked *look // the last time that somebody asked for the busiest
}

func newSessions() *sessions { return &sessions{live: map[uint64]*liveSession{}} }

// enter takes a connection in. For one that is in the table already it takes over what a newer verdict says.
func (t *sessions) enter(conn endable, s session) {
	t.mu.Lock()
	if known := t.live[s.Connection]; known != nil {
		s.Since = known.Since
	}
	t.live[s.Connection] = &liveSession{s, conn}
	t.mu.Unlock()
	// If it was closed before it was in the table, nobody will tell.
	if conn.Closing() {
		t.leave(s.Connection, "closed during the login", conn.Traffic())
	}
}

// admitted takes in a connection that the library let in by itself.
func (t *sessions) admitted(c server.ClientAuthentication) {
	conn, ok := c.(endable)
	if !ok || isPipe(c.RemoteAddress()) {
		return
	}
	s := describeSession(conn, peerAddress(conn.RemoteAddress()), classOf(conn.GetTLSConnectionState()))
	t.mu.Lock()
	known := t.live[s.Connection] != nil
	t.mu.Unlock()
	if !known {
		s.Username = conn.ShownUser()
		t.enter(conn, s)
	}
}

// describeSession tells of a connection what the library knows.
func describeSession(conn endable, address, tls string) session {
	s := session{Connection: conn.GetID(), Kind: "client", Address: address, TLS: tls, Since: unixNow()}
	switch {
	case conn.Kind() == server.LEAF:
		s.Kind = kindLeafnode
	case conn.Websocket():
		s.Kind = "websocket"
	}
	if account := conn.Account(); account != nil {
		s.Account = account.GetName()
	}
	return s
}

func isPipe(address net.Addr) bool { return address != nil && address.Network() == "pipe" }

// unixNow is the time in Unix seconds, to the millisecond.
func unixNow() float64 { return float64(time.Now().UnixMilli()) / 1000 }

// because notes why a session is going to end.
func (t *sessions) because(id uint64, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found := t.live[id]; found != nil {
		found.Reason = reason
	}
}

// leave moves a session to those that have ended, with what went over it.
func (t *sessions) leave(id uint64, reason string, traffic server.Traffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := t.live[id]
	if gone == nil {
		return
	}
	delete(t.live, id)
	s := gone.session
	if s.Reason == "" {
		s.Reason = reason
	}
	s.Until, s.Number = unixNow(), t.count+1
	held := carriedBy(traffic)
	s.Traffic = &held
	if t.count-t.first == mostEnded {
		t.forget()
	}
	if len(t.ended) < mostEnded {
		t.ended = append(t.ended, s)
	} else {
		t.ended[t.count%mostEnded] = s
	}
	t.count++
	for t.size += s.bytes(); t.size > mostEndedBytes; {
		t.forget()
	}
}

// forget lets go of the session that ended first. It wants the lock.
func (t *sessions) forget() {
	oldest := &t.ended[t.first%mostEnded]
	t.size -= oldest.bytes()
	*oldest = session{}
	t.first++
}

// bytes is about what a session takes, here and in a frame.
func (s *session) bytes() int {
	return 600 + 2*(len(s.Username)+len(s.Account)+len(s.Reason)) + len(s.Holder)
}

// page returns the sessions after a place, in order, as many as fit into a frame, and whether there are more. Those that
// are connected have their connection's number as their place, those that have ended their own.
func (t *sessions) page(ended bool, after uint64, withTraffic bool) ([]session, bool) {
	var found []session
	conns := map[uint64]endable{}
	t.mu.Lock()
	if ended {
		for number := max(after, t.first); number < t.count; number++ {
			found = append(found, t.ended[number%mostEnded])
		}
	} else {
		for id, each := range t.live {
			if id > after {
				found = append(found, each.session)
				if withTraffic {
					conns[id] = each.conn
				}
			}
		}
	}
	t.mu.Unlock()
	if !ended {
		slices.SortFunc(found, func(a, b session) int { return cmp.Compare(a.Connection, b.Connection) })
	}
	size := 0
	for i, each := range found {
		if conn := conns[each.Connection]; conn != nil {
			held := carriedBy(conn.Traffic())
			found[i].Traffic = &held
		}
		size += each.bytes()
		if i == mostOnPage || i > 0 && size > bytesOfPage {
			return found[:i], true
		}
	}
	return found, false
}

// secured returns the TLS states of those that are connected and have one.
func (t *sessions) secured() map[uint64]*tls.ConnectionState {
	t.mu.Lock()
	conns := make(map[uint64]endable, len(t.live))
	for id, each := range t.live {
		conns[id] = each.conn
	}
	t.mu.Unlock()
	states := map[uint64]*tls.ConnectionState{}
	for id, conn := range conns {
		if state := conn.GetTLSConnectionState(); state != nil {
			states[id] = state
		}
	}
	return states
}

// end closes connections at once and returns how many there were, and words for the log.
func (t *sessions) end(ids []uint64, reason string) (int, string) {
	var named []string
	count := 0
	for _, id := range ids {
		t.mu.Lock()
		found := t.live[id]
		if found != nil {
			found.Reason = reason
		}
		t.mu.Unlock()
		if found == nil {
			continue
		}
		found.conn.EndNow()
		count++
		if count <= mostShownEnded {
			named = append(named, fmt.Sprint(id))
		}
	}
	if count > mostShownEnded {
		named = append(named, fmt.Sprintf("and %d more", count-mostShownEnded))
	}
	return count, strings.Join(named, ", ")
}

// tellSessions answers the broker's question for a page.
func (e *engine) tellSessions(order incoming) {
	var ended, withTraffic bool
	var after uint64
	if !isNull(order.Ended) && json.Unmarshal(order.Ended, &ended) != nil ||
		!isNull(order.After) && json.Unmarshal(order.After, &after) != nil ||
		!isNull(order.Traffic) && json.Unmarshal(order.Traffic, &withTraffic) != nil {
		e.gate.lose(protocolErrorf("a question for sessions with fields of the wrong types"))
		return
	}
	if !isNull(order.Busiest) {
		e.tellBusiest(order)
		return
	}
	found, more := e.sessions.page(ended, after, withTraffic)
	e.gate.send(listedSessions{Type: "listed", ID: order.ID, Sessions: append([]session{}, found...), More: more}, inAnyCase)
}

// tellBusiest answers the broker's question for those over which most goes.
func (e *engine) tellBusiest(order incoming) {
	var by string
	most, ok := positive(order.Busiest)
	if !ok || most > mostOnPage || json.Unmarshal(order.By, &by) != nil || orders[by] == nil {
		e.gate.lose(protocolErrorf("a question for the busiest sessions without their number or their order"))
		return
	}
	found, all := e.sessions.busiest(int(most), by, time.Now())
	e.gate.send(listedSessions{Type: "listed", ID: order.ID, Sessions: append([]session{}, found...), Busy: &all}, inAnyCase)
}

// endSessions ends those that the broker names.
func (e *engine) endSessions(order incoming) {
	var ids []uint64
	var reason string
	if json.Unmarshal(order.Connections, &ids) != nil || json.Unmarshal(order.Reason, &reason) != nil || reason == "" {
		e.gate.lose(protocolErrorf("an end of sessions without connections or reason"))
		return
	}
	count, named := e.sessions.end(ids, reason)
	if count > 0 {
		e.srv.Noticef("Sessions ended by the broker: %d, cid %s: %s", count, named, reason)
	}
	e.gate.send(endedSessions{Type: "ended", ID: order.ID, Sessions: count}, inAnyCase)
}
