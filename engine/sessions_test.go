package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// listSessions asks for every page as a broker does.
func (e *testEngine) listSessions(ended bool) []frame {
	e.t.Helper()
	var found []frame
	for after, more := any(0), true; more; {
		e.send(frame{"type": "sessions", "id": 3, "ended": ended, "after": after})
		page := e.expect("listed")
		if page["id"] != 3.0 {
			e.t.Fatalf("the answer to another question: %v", page["id"])
		}
		for _, each := range page["sessions"].([]any) {
			found = append(found, each.(frame))
		}
		if more = page["more"].(bool); more {
			after = found[len(found)-1]["connection"]
			if ended {
				after = found[len(found)-1]["number"]
			}
		}
	}
	return found
}

// answerNext answers the next question and returns it.
func (e *testEngine) answerNext(changes ...frame) frame {
	e.t.Helper()
	q := e.expect("question")
	e.send(allowing(q, changes...))
	return q
}

const sessionsConfig = plainConfig + `
websocket { listen: "127.0.0.1:-1", no_tls: true }
leafnodes { listen: "127.0.0.1:-1" }
`

func TestSessionsAreListedWithTheirHolders(t *testing.T) {
	t.Parallel()
	e := startEngine(t, sessionsConfig, nil)
	holder := frame{"method": "token", "a field of later": []any{1.0, frame{"deep": "<é>"}}}
	var conns []*nats.Conn
	for _, listener := range []string{"client", "websocket", "bridge"} {
		options := []nats.Option{}
		if listener == "bridge" {
			options = append(options, nats.Token(testSecret))
		}
		c := e.connect(e.url(listener), options...)
		e.answerNext(frame{"holder": holder, "account": "other", "username": listener})
		conns = append(conns, c.in())
	}
	found := e.listSessions(false)
	if len(found) != 2 {
		t.Fatalf("wanted a client and a websocket and not the bridge: %v", found)
	}
	for i, kind := range []string{"client", "websocket"} {
		s := found[i]
		since, _ := s["since"].(float64)
		delete(s, "since")
		id, _ := conns[i].GetClientID()
		want := frame{"connection": float64(id), "kind": kind, "address": "127.0.0.1", "account": "other", "username": kind,
			"tls": "none", "generation": 7.0, "holder": holder}
		if fmt.Sprint(s) != fmt.Sprint(want) || time.Since(time.UnixMilli(int64(since*1000))).Abs() > time.Minute {
			t.Errorf("since %v: %v, want %v", since, s, want)
		}
		conns[i].Close()
		eventually(t, "an empty place", func() bool { return len(e.listSessions(false)) == 1-i })
	}
	gone := e.listSessions(true)
	if len(gone) != 2 || gone[0]["reason"] != "Client Closed" || gone[1]["number"] != 2.0 || fmt.Sprint(gone[0]["holder"]) != fmt.Sprint(holder) {
		t.Errorf("those that have ended: %v", gone)
	}
}

func TestARefusedConnectionIsNoSession(t *testing.T) {
	t.Parallel()
	e := startEngine(t, sessionsConfig, nil)
	c := e.connect(e.url("client"))
	e.answerNext(frame{"allow": false})
	c.refused()
	if found := append(e.listSessions(false), e.listSessions(true)...); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

func TestTrafficIsToldWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	c := e.connect(e.url("client"))
	e.answerNext()
	conn := c.in()
	conn.SubscribeSync("a")
	conn.Publish("a", make([]byte, 100))
	conn.Publish("b", nil)
	conn.Flush()
	e.send(frame{"type": "sessions", "id": 1, "traffic": true})
	told := e.expect("listed")["sessions"].([]any)[0].(frame)["traffic"].(frame)
	if told["in_msgs"] != 2.0 || told["in_bytes"] != 100.0 || told["out_msgs"] != 1.0 || told["out_bytes"] != 100.0 || told["pending"] == nil || told["rtt"] == nil {
		t.Errorf("%v", told)
	}
}

func TestVerdictsWithoutAHolderAreMalformed(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	for _, holder := range []any{absent, nil, []int{}, "text", frame{"long": strings.Repeat("x", mostOfHolder)}} {
		c := e.connect(e.url("client"))
		q := e.answerNext(frame{"holder": holder})
		c.refused()
		e.expectRefusal(causeMalformed, q["id"])
	}
}

// allowAll lets in whoever comes, until it is stopped.
func (e *testEngine) allowAll(stop <-chan struct{}) {
	for {
		select {
		case f := <-e.frames:
			if f["type"] == "question" {
				e.send(allowing(f))
			}
		case <-stop:
			return
		}
	}
}

// TestNothingIsLeftOfSessions comes and goes 2,000 times, some before, some during and some after their login.
func TestNothingIsLeftOfSessions(t *testing.T) {
	t.Parallel()
	const workers, times = 20, 100
	e := startEngine(t, plainConfig, frame{"max_questions": 1000})
	stop := make(chan struct{})
	var answering sync.WaitGroup
	answering.Go(func() { e.allowAll(stop) })
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range times {
				conn, err := net.Dial("tcp", strings.TrimPrefix(e.url("client"), "nats://"))
				if err != nil {
					t.Error(err)
					return
				}
				reader := bufio.NewReader(conn)
				reader.ReadString('\n')
				if fmt.Fprint(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n"); i%3 == 0 {
					reader.ReadString('\n')
				}
				conn.Close()
			}
		}()
	}
	group.Wait()
	eventually(t, "an empty table", func() bool {
		e.sessions.mu.Lock()
		defer e.sessions.mu.Unlock()
		return len(e.sessions.live) == 0 && e.srv.NumClients() == 0
	})
	close(stop)
	answering.Wait()
	if ended := len(e.sessions.ended); ended < workers*times/3 || ended > workers*times {
		t.Errorf("%d have ended", ended)
	}
}

func TestPagesOfManySessions(t *testing.T) {
	t.Parallel()
	const many = 10_000
	table := newSessions()
	holder := []byte(`{"method":"token","caller":"up=` + strings.Repeat("x", 400) + `"}`)
	for id := range uint64(many) {
		table.live[id+1] = &liveSession{session: session{Connection: id + 1, Holder: holder}}
	}
	check := func(ended bool, place func(s session) uint64) {
		begun := time.Now()
		after, pages := uint64(0), 0
		for more := true; more; pages++ {
			var page []session
			page, more = table.page(ended, after, false)
			for _, each := range page {
				if after++; place(each) != after {
					t.Fatalf("%d in place of %d", place(each), after)
				}
			}
			frame, err := encodeFrame(listedSessions{Type: "listed", Sessions: page})
			if err != nil || len(frame) > bytesOfPage {
				t.Fatalf("a page of %d bytes: %v", len(frame), err)
			}
		}
		if after != many || pages < many/mostOnPage || time.Since(begun) > patience {
			t.Errorf("%d sessions on %d pages in %s", after, pages, time.Since(begun))
		}
	}
	check(false, func(s session) uint64 { return s.Connection })
	for id := range uint64(many) {
		table.leave(id+1, "Client Closed", server.Traffic{})
	}
	check(true, func(s session) uint64 { return s.Number })

	// What is beyond the bound is forgotten, oldest first.
	for id := range uint64(10) {
		table.live[id+1] = &liveSession{session: session{Connection: id + 1}}
		table.leave(id+1, "Read Error", server.Traffic{})
	}
	page, _ := table.page(true, 0, false)
	if len(table.ended) != mostEnded || page[0].Number != 11 {
		t.Errorf("%d are kept, from %d on", len(table.ended), page[0].Number)
	}
	if last, more := table.page(true, many+7, false); more || len(last) != 3 || last[2].Reason != "Read Error" {
		t.Errorf("after the place: %v", last)
	}
}

func TestLargeHoldersAreForgottenSooner(t *testing.T) {
	t.Parallel()
	table := newSessions()
	large := make([]byte, mostOfHolder)
	const many = 3 * mostEndedBytes / mostOfHolder
	for id := range uint64(many) {
		table.live[id+1] = &liveSession{session: session{Connection: id + 1, Holder: large}}
		table.leave(id+1, "Client Closed", server.Traffic{})
	}
	kept := table.count - table.first
	if table.size > mostEndedBytes || kept < many/4 || kept > many/2 {
		t.Errorf("%d of %d are kept, in %d bytes", kept, many, table.size)
	}
	page, more := table.page(true, 0, false)
	if page[0].Number != table.first+1 || page[0].Holder == nil || !more {
		t.Errorf("the first that is told is %d, after %d that are forgotten", page[0].Number, table.first)
	}
	for _, each := range table.ended[:table.first] {
		if each.Holder != nil {
			t.Fatal("what is forgotten is still held")
		}
	}
}

// flood publishes so many megabytes over the bridge, and returns the connection.
func (e *testEngine) flood(subject string, megabytes int) *nats.Conn {
	own := e.connect(e.url("bridge"), nats.Token(testSecret))
	e.answerNext()
	publisher := own.in()
	for range megabytes {
		publisher.Publish(subject, make([]byte, 1<<20-1))
	}
	publisher.Flush()
	return publisher
}

// TestASessionEndsAtOnce ends a connection whose peer reads nothing while megabytes wait for it.
func TestASessionEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, secured := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, ca := plainConfig, newAuthority(t, "authority")
			if secured {
				ca.issue("server")
				config += ca.tlsBlock("")
			}
			e := startEngine(t, config, nil)
			conn := net.Conn(dialRaw(t, e.ports["client"]))
			if secured {
				conn = tls.Client(conn, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"})
			}
			fmt.Fprint(conn, "CONNECT {\"verbose\":false}\r\nSUB a 1\r\nPING\r\n")
			e.answerNext()
			pong := make([]byte, 6)
			if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "PONG\r\n" {
				t.Fatal(string(pong), err)
			}
			defer e.flood("a", 30).Close()
			id := e.listSessions(false)[0]["connection"]
			begun := time.Now()
			e.send(frame{"type": "end", "id": 9, "connections": []any{id, 4711}, "reason": "kicked by root"})
			if told := e.expect("ended"); told["sessions"] != 1.0 || told["id"] != 9.0 {
				t.Errorf("%v", told)
			}
			if left := e.listSessions(false); len(left) > 0 {
				t.Errorf("%v", left)
			}
			eventually(t, "the client is gone from the library", func() bool { return e.srv.NumClients() == 1 })
			conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("the connection is still open")
			}
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
			if gone := e.listSessions(true); len(gone) != 1 || gone[0]["reason"] != "kicked by root" {
				t.Errorf("%v", gone)
			}
		})
	}
}

func TestWhatIsNoOrderAboutSessionsEndsTheEngine(t *testing.T) {
	t.Parallel()
	for _, order := range []frame{
		{"type": "sessions", "id": 1, "after": -1}, {"type": "sessions", "id": 1, "ended": "no"},
		{"type": "sessions", "id": 1, "busiest": 0, "by": "rate"}, {"type": "sessions", "id": 1, "busiest": 3},
		{"type": "sessions", "id": 1, "busiest": 3, "by": "age"}, {"type": "sessions", "id": 1, "busiest": 9999, "by": "rate"},
		{"type": "end", "id": 1, "connections": []int{1}}, {"type": "end", "id": 1, "reason": "x"},
		{"type": "end", "id": 1, "connections": []int{1}, "reason": ""}, {"type": "end", "id": 1, "connections": []int{-1}, "reason": "x"},
	} {
		e := startEngine(t, plainConfig, nil)
		e.send(order)
		if code := e.waitExit(); code != 1 {
			t.Errorf("%v: exit code %d", order, code)
		}
	}
}

func TestSessionsOfOperatorMode(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "ACME")
	e := startEngine(t, o.config(`leafnodes { listen: "127.0.0.1:-1" }`, "ACME"), operatorMode)
	client := e.connect(e.url("client"), o.login("ACME")).in()
	e.connect(e.url("bridge"), o.login("ACME")).in()
	e.connect(e.url("client")).refused()
	o.leafnode(e, "ACME")
	eventually(t, "the leafnode is there", func() bool { return len(e.listSessions(false)) == 2 })
	found := map[any]frame{}
	for _, each := range e.listSessions(false) {
		found[each["kind"]] = each
		if name, _ := each["username"].(string); each["account"] != o.key("ACME") || name == "" || each["holder"] != nil {
			t.Errorf("%v", each)
		}
	}
	id, _ := client.GetClientID()
	if found["client"]["connection"] != float64(id) || found["leafnode"] == nil {
		t.Errorf("%v", found)
	}
	e.send(frame{"type": "end", "id": 9, "connections": []any{found["client"]["connection"], found["leafnode"]["connection"]}, "reason": "x"})
	if told := e.expect("ended"); told["sessions"] != 2.0 {
		t.Errorf("%v", told)
	}
	eventually(t, "the client notices", client.IsClosed)
}

func TestLeafnodesAreSessions(t *testing.T) {
	t.Parallel()
	e := startEngine(t, sessionsConfig, nil)
	leaf := startLeaf(t, e, nil)
	e.answerNext(frame{"username": ""})
	eventually(t, "the leafnode is connected", func() bool { return e.srv.NumLeafNodes() == 1 })
	found := e.listSessions(false)
	if len(found) != 1 || found[0]["kind"] != "leafnode" || found[0]["account"] != "choria" {
		t.Fatalf("%v", found)
	}
	e.send(frame{"type": "end", "id": 1, "connections": []any{found[0]["connection"]}, "reason": "no more"})
	e.expect("ended")
	leaf.expectLog("Leafnode connection closed")
	if left := e.listSessions(false); len(left) > 0 {
		t.Errorf("%v", left)
	}
}
