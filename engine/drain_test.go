package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

// order sends a word about draining and returns the problem it met.
func (e *testEngine) order(order frame) any {
	e.t.Helper()
	e.send(frame{"type": "drain", "id": 5, "order": order})
	return e.next("drained")["problem"]
}

// next returns the next frame of a type, whatever comes before it.
func (e *testEngine) next(kind string) frame {
	e.t.Helper()
	for {
		select {
		case f, ok := <-e.frames:
			if !ok {
				e.t.Fatalf("the gate ended; wanted a %s", kind)
			}
			if f["type"] == kind {
				return f
			}
		case <-time.After(patience):
			e.t.Fatalf("no %s on the gate", kind)
		}
	}
}

// moved waits until the broker is told of a drain in a state, by the fields given, and returns all that it was told.
func (e *testEngine) moved(wanted frame) frame {
	e.t.Helper()
	var told frame
	for deadline := time.After(patience); ; {
		select {
		case told = <-e.asides["moving"]:
		case <-deadline:
			e.t.Fatalf("wanted to be told %v, heard last %v", wanted, told)
		}
		fits := true
		for field, value := range wanted {
			fits = fits && told[field] == value
		}
		if fits {
			return told
		}
	}
}

func dialError(e *testEngine, listener string) error {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.ports[listener]))
	if err == nil {
		conn.Close()
	}
	return err
}

func refusesAllButBrokers(t *testing.T, e *testEngine) {
	t.Helper()
	for _, listener := range []string{"client", "websocket", "leafnode"} {
		if err := dialError(e, listener); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", listener, err)
		}
	}
	for _, listener := range []string{"cluster", "gateway"} {
		if err := dialError(e, listener); err != nil {
			t.Errorf("%s: %v", listener, err)
		}
	}
}

func TestADrainRefusesWhoComesAndMovesWhoIsThere(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+everyListener(""), nil)
	lame := make(chan struct{}, 10)
	client := e.connect(e.url("client"), nats.LameDuckModeHandler(func(*nats.Conn) { lame <- struct{}{} }))
	e.send(allowing(e.expect("question")))
	browser := e.letIn("websocket")
	own := e.connect(bridged, nats.Token(testSecret))
	e.send(allowing(e.expect("question")))
	leafnode, question := dialLeafnode(e, `{"user":"leaf","verbose":false}`)
	e.send(allowing(question))
	if !leafnode.settled() {
		t.Fatal("the leafnode did not get in")
	}
	waiting := silent(t, e.ports["client"], 1, "127.0.0.9")
	if err := client.in().Flush(); err != nil {
		t.Fatal(err)
	}
	if problem := e.order(frame{"over_ms": 100}); problem != "" {
		t.Fatal(problem)
	}
	refusesAllButBrokers(t, e)
	eventually(t, "who has said nothing is closed", func() bool { return ended(waiting) == 1 })
	<-lame
	if told := e.moved(frame{"left": 0.0, "draining": true}); told["ended"] != 3.0 {
		t.Errorf("told %v", told)
	}
	gone, _ := e.sessions.page(true, 0, false)
	for _, each := range gone {
		if each.Reason != drainReason {
			t.Errorf("%d ended: %s", each.Connection, each.Reason)
		}
	}
	if len(gone) != 3 {
		t.Errorf("%d sessions have ended", len(gone))
	}
	for what, conn := range map[string]*nats.Conn{"client": client.in(), "browser": browser} {
		eventually(t, "moved: "+what, conn.IsClosed)
	}
	if _, err := io.Copy(io.Discard, leafnode); err != nil {
		t.Errorf("the leafnode: %v", err)
	}
	if err := own.in().Flush(); err != nil {
		t.Errorf("the bridge: %v", err)
	}
}

func TestADrainIsTakenBackWhileConnectionsAreLeft(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	client := dialRaw(t, e.ports["client"])
	client.say(`CONNECT {"protocol":1,"verbose":false}` + "\r\nPING")
	e.send(allowing(e.expect("question")))
	lame := func() bool {
		for {
			if line := client.line(); strings.HasPrefix(line, "INFO") {
				return strings.Contains(line, `"ldm":true`)
			}
		}
	}
	if lame() { // The first one after CONNECT.
		t.Fatal("lame before its time")
	}
	for range 2 {
		e.order(frame{"over_ms": 3_600_000})
		if err := dialError(e, "client"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Error(err)
		}
		if !lame() {
			t.Error("the client was not told")
		}
		if told := e.moved(frame{"draining": true, "left": 1.0}); told["ended"] != 0.0 {
			t.Errorf("told %v", told)
		}
		if problem := e.order(frame{"over_ms": 7_200_000}); problem != "" {
			t.Error("another time:", problem)
		}
		if problem := e.order(frame{"off": true}); problem != "" {
			t.Error(problem)
		}
		if lame() {
			t.Error("the client was not told that it may stay")
		}
		e.letIn("client").Close()
		if !client.settled() {
			t.Error("the client did not stay")
		}
		e.moved(frame{"draining": false})
	}
	if problem := e.order(frame{"off": true}); problem != "" {
		t.Error("there is nothing to take back:", problem)
	}
}

func TestADrainStaysOverAReload(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	e.order(frame{"over_ms": 0})
	e.send(frame{"type": "reload", "id": 1})
	if problem := e.next("reloaded")["problem"]; problem != "" {
		t.Fatal(problem)
	}
	tags := func() string {
		page, err := e.srv.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(page.Tags, " ")
	}
	if err := dialError(e, "client"); !errors.Is(err, unix.ECONNREFUSED) || tags() != noNewStreams {
		t.Error(err, tags())
	}
	e.order(frame{"off": true})
	if tags() != "" {
		t.Error(tags())
	}
	e.letIn("client")
}

func TestABrokenOrderChangesNothing(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	for _, order := range []frame{{"over_ms": -1}, {"over_ms": 90_000_000}, nil} {
		if problem := e.order(order); problem == "" {
			t.Errorf("%v was taken", order)
		}
	}
	e.letIn("client")
}

func TestAPortOfAPausedListenerThatSomebodyTookKeepsADrain(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	e.order(frame{"over_ms": 0})
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", e.ports["leafnode"]))
	if err != nil {
		t.Skip(err) // This kernel does not give the port away.
	}
	if problem := e.order(frame{"off": true}); problem == "" {
		t.Error("it listens on a port of another")
	}
	if err := dialError(e, "client"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	taken.Close()
	if problem := e.order(frame{"off": true}); problem != "" {
		t.Error(problem)
	}
	e.letIn("client")
}

func TestPortionsAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		whole int
		over  time.Duration
	}{{0, time.Second}, {1, time.Second}, {7, time.Minute}, {300, time.Minute}, {600, time.Minute}, {50_000, time.Minute}, {3, 0}, {100, 50 * time.Millisecond}} {
		left, owed, used := c.whole, 0.0, time.Duration(0)
		for left > 0 {
			used += portionEvery
			var count int
			count, owed = portion(left, owed, c.over-used, portionEvery)
			left -= count
			planned := float64(c.whole) * min(1, float64(used)/float64(max(c.over, portionEvery)))
			if moved := float64(c.whole - left); math.Abs(moved-planned) > 1.01 {
				t.Fatalf("%d over %s: %.0f in place of %.0f after %s", c.whole, c.over, moved, planned, used)
			}
		}
		if used > max(c.over, portionEvery) {
			t.Errorf("%d over %s: took %s", c.whole, c.over, used)
		}
	}
}
