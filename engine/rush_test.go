package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// informed tells whether the server says its first word to a connection within a time.
func informed(conn net.Conn, within time.Duration) bool {
	conn.SetReadDeadline(time.Now().Add(within))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "INFO ")
}

// busyWith has connections take up all that may be worked on at once: they speak, and do not come to an end.
func (e *testEngine) busyWith(count int, from string) {
	e.t.Helper()
	for _, conn := range silent(e.t, e.ports["client"], count, from) {
		if !informed(conn, patience) {
			e.t.Fatal("a connection there is room for is told nothing")
		}
		conn.Write([]byte("CONNECT {"))
	}
}

// waiters reads how many wait.
func (e *testEngine) waiters() int { return e.doors.queue().Waiting }

// waitFor has clients be as patient as this.
func (e *testEngine) waitFor(patience time.Duration) {
	e.doors.mu.Lock()
	defer e.doors.mu.Unlock()
	e.doors.pace.patience = patience
}

// atWork has something worked on that does not come to an end before it is told to.
func (e *testEngine) atWork() (end func()) {
	e.doors.mu.Lock()
	defer e.doors.mu.Unlock()
	one := e.doors.working.PushBack(&visitor{begun: time.Now().Add(time.Hour)})
	return func() {
		e.doors.mu.Lock()
		defer e.doors.mu.Unlock()
		e.doors.working.Remove(one)
	}
}

func TestWhoWaitsIsToldNothing(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 1})
	end := e.atWork()
	conn := silent(t, e.ports["client"], 1, "127.0.0.2")[0]
	eventually(t, "it waits", func() bool { return e.waiters() == 1 })
	if informed(conn, 50*time.Millisecond) {
		t.Error("the server spoke before the connection's turn had come")
	}
	end()
	if !informed(conn, patience) {
		t.Error("whose turn has come is told nothing")
	}
	eventually(t, "that is counted", func() bool { return e.doors.queue().Waited == 1 })
}

// TestAFewAreWorkedOnAtOnce has more clients than may be worked on; all come in, one after the other.
func TestAFewAreWorkedOnAtOnce(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 1})
	var clients []*connecting
	for range 5 {
		clients = append(clients, e.connect(e.url("client"), nats.Timeout(patience)))
	}
	for range clients {
		e.send(allowing(e.expect("question")))
	}
	for _, each := range clients {
		each.in()
	}
	if e.waiters() != 0 {
		t.Error("somebody is said to wait")
	}
}

// TestWhoIsSlowDoesNotKeepOthersOut has as many as may be worked on begin a login and stop.
func TestWhoIsSlowDoesNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 2})
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		e.busyWith(6, from)
	}
	for range 3 {
		e.letIn("client")
	}
}

// TestACrowdThatHangsOnDoesNotKeepOthersOut has strangers of many addresses begin a login each and stop. While this machine
// has nothing to do nobody waits for them for long.
func TestACrowdThatHangsOnDoesNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 16})
	for i := range 120 {
		conn := silent(t, e.ports["client"], 1, fmt.Sprintf("127.0.3.%d", i+1))[0]
		go func() {
			if informed(conn, patience) {
				conn.Write([]byte("CONNECT {"))
			}
		}()
	}
	began := time.Now()
	e.letIn("client")
	if took := time.Since(began); took >= clientPatience {
		t.Errorf("a good login took %v", took)
	}
}

// TestWhoTookItsTimeDidNotGiveUp has clients go that had waited: only who did its part in time tells of a machine that is late.
func TestWhoTookItsTimeDidNotGiveUp(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	for slowest, lost := range map[time.Duration]int{ownFault: 0, ownFault - 1: 1} {
		conn := silent(t, e.ports["client"], 1, "127.0.0.2")[0]
		at := endpoints{conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort()}
		var v *visitor
		eventually(t, "it has come", func() bool {
			e.doors.mu.Lock()
			defer e.doors.mu.Unlock()
			v = e.doors.byEndpoints[at]
			return v != nil && v.stranger.room == v.door.room
		})
		e.doors.mu.Lock()
		before := e.doors.pace.inVain
		v.waited = true
		e.doors.mu.Unlock()
		v.spoken.Store(true)
		v.slowest.Store(int64(slowest))
		v.Close()
		e.doors.mu.Lock()
		if got := e.doors.pace.inVain - before; got != lost {
			t.Errorf("after a silence of %v %d are counted", slowest, got)
		}
		e.doors.mu.Unlock()
	}
}

// TestLinksDoNotWait has clients use up what may be worked on, and a route come beside them.
func TestLinksDoNotWait(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+everyListener(""), frame{"max_handshakes": 1})
	e.atWork()
	silent(t, e.ports["client"], 3, "127.0.0.2")
	eventually(t, "clients wait", func() bool { return e.waiters() == 3 })
	for _, listener := range []string{"cluster", "gateway", "leafnode"} {
		link := silent(t, e.ports[listener], 1, "127.0.0.2")[0]
		eventually(t, "the library has it", func() bool {
			e.doors.mu.Lock()
			defer e.doors.mu.Unlock()
			for at, v := range e.doors.byEndpoints {
				if at.remote.String() == link.LocalAddr().String() {
					return v.stranger.room == v.door.room
				}
			}
			return false
		})
	}
}

// TestWhoWaitsTooLongIsLetGo has nobody come to an end, so that the time of those that wait is over.
func TestWhoWaitsTooLongIsLetGo(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 1})
	e.waitFor(clientPatience)
	e.atWork()
	waiting := silent(t, e.ports["client"], 3, "127.0.0.2")
	eventually(t, "they are closed", func() bool { return ended(waiting) == 3 })
	eventually(t, "and counted", func() bool { return e.doors.queue().Dropped == 3 })
	told := e.expect("waiting")
	for told["dropped"] != 3.0 {
		told = e.expect("waiting")
	}
}

func TestWhoHasGoneIsNotBegun(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 1})
	end := e.atWork()
	conn := silent(t, e.ports["client"], 1, "127.0.0.2")[0]
	eventually(t, "it waits", func() bool { return e.waiters() == 1 })
	conn.Close()
	time.Sleep(2 * noticed) // Before that nobody is asked whether he is still there.
	end()
	eventually(t, "it is noticed", func() bool { return e.doors.queue().Left == 1 })
}

// TestWhoComesAgainFromTheSamePortIsAnotherOne has a client break off while it waits and come again from its port before that
// is noticed. The one that is in must not be taken for a stranger, whose time comes to an end.
func TestWhoComesAgainFromTheSamePortIsAnotherOne(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 1})
	end := e.atWork()
	first := silent(t, e.ports["client"], 1, "127.0.0.2")[0].(*net.TCPConn)
	eventually(t, "it waits", func() bool { return e.waiters() == 1 })
	first.SetLinger(0)
	first.Close()
	dialer := net.Dialer{LocalAddr: first.LocalAddr()}
	again, err := dialer.Dial("tcp", first.RemoteAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	eventually(t, "it waits once more", func() bool { return e.waiters() == 2 })
	time.Sleep(2 * noticed) // Before that nobody is asked whether he is still there.
	end()
	if !informed(again, patience) {
		t.Fatal("whose turn has come is told nothing")
	}
	again.Write([]byte("CONNECT {}\r\nPING\r\n"))
	e.send(allowing(e.expect("question")))
	eventually(t, "it is in, and nobody else is there", func() bool {
		e.doors.mu.Lock()
		defer e.doors.mu.Unlock()
		return e.doors.clients == 1 && e.doors.strangers == 0
	})
}

// TestWithoutABoundNobodyWaits has more at once than a pace begins with.
func TestWithoutABoundNobodyWaits(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_handshakes": 0})
	for i, conn := range silent(t, e.ports["client"], 300, "127.0.0.2") {
		if !informed(conn, patience) {
			t.Fatalf("connection %d is told nothing", i)
		}
	}
	if e.waiters() != 0 {
		t.Error("somebody waits")
	}
}
