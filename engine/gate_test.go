package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startGate returns a gate without a server behind it, and the fake broker on its other end.
func startGate(t *testing.T, changes frame) (*gate, *fakeBroker) {
	t.Helper()
	conn, file := socketPair(t)
	hello := brokerHello{Generation: 7, AnswerWithinMS: 10_000, MaxQuestions: 2}
	if within, ok := changes["answer_within_ms"]; ok {
		hello.AnswerWithinMS = within.(int)
	}
	g := newGate(engineEnd(t, file), hello)
	g.debugf = t.Logf
	go g.read(bufio.NewReader(g.conn))
	go g.write()
	t.Cleanup(func() { g.lose(errGateClosed) })
	return g, newFakeBroker(t, conn)
}

type answer struct {
	frame incoming
	why   cause
}

func ask(g *gate, like ...question) chan answer {
	q := append(like, question{})[0]
	answers := make(chan answer, 1)
	go func() {
		frame, why := g.ask(&q, time.Now())
		answers <- answer{frame, why}
	}()
	return answers
}

func receive[T any](t *testing.T, channel <-chan T) T {
	t.Helper()
	select {
	case value := <-channel:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func (g *gate) open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.pending)
}

func TestShakeHands(t *testing.T) {
	wrong := validHello()
	wrong["protocol"] = 1
	for name, c := range map[string]struct {
		act  func(b *fakeBroker)
		want string
	}{
		"silence":       {func(*fakeBroker) {}, "no hello from the broker within"},
		"gone":          {func(b *fakeBroker) { b.conn.Close() }, "closed the gate"},
		"wrong version": {func(b *fakeBroker) { b.send(wrong) }, fmt.Sprintf("version %d", protocolVersion)},
		"no hello":      {func(b *fakeBroker) { b.send(frame{"type": "verdict", "id": 1}) }, "not a hello"},
		"no JSON":       {func(b *fakeBroker) { b.text("hello") }, "not a hello"},
		"empty frame":   {func(b *fakeBroker) { b.text("") }, "a frame of 0 bytes"},
	} {
		conn, file := socketPair(t)
		c.act(newFakeBroker(t, conn))
		engine := engineEnd(t, file)
		_, err := shakeHands(engine, bufio.NewReader(engine), "test", 50*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestOpenGateRefusesWhatIsNoGate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tcp, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	inherited, err := unix.Dup(int(tcp.Fd())) // openGate closes what it is given.
	if err != nil {
		t.Fatal(err)
	}
	for name, fd := range map[string]int{"none": -1, "closed": 987_654, "TCP": inherited} {
		if conn, err := openGate(fd); err == nil {
			conn.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAnswersReachTheirQuestions(t *testing.T) {
	g, broker := startGate(t, nil)
	first, second := ask(g), ask(g)
	one, two := broker.expect("question"), broker.expect("question")
	broker.send(frame{"type": "verdict", "id": two["id"], "account": "two"})
	broker.send(frame{"type": "verdict", "id": one["id"], "account": "one"})
	got := map[string]bool{string(receive(t, first).frame.Account): true, string(receive(t, second).frame.Account): true}
	if !got[`"one"`] || !got[`"two"`] {
		t.Errorf("got answers %v", got)
	}
	if one["id"] == two["id"] {
		t.Error("two questions have one id")
	}
}

func TestAnswersNobodyWaitsForAreCountedAndIgnored(t *testing.T) {
	g, broker := startGate(t, frame{"answer_within_ms": 30})
	late := ask(g)
	q := broker.expect("question")
	if got := receive(t, late); got.why != causeTimeout {
		t.Fatalf("got %+v, want a timeout", got)
	}
	broker.send(frame{"type": "verdict", "id": q["id"]})
	broker.send(frame{"type": "verdict", "id": q["id"]})
	broker.send(frame{"type": "verdict", "id": 4711})
	eventually(t, "three answers are ignored", func() bool { return g.ignored.Load() == 3 })
	if g.open() != 0 {
		t.Error("a question that timed out is still open")
	}
	select {
	case <-g.lost:
		t.Errorf("the gate ended: %v", g.err)
	default:
	}
}

func TestAnswerAfterTheDeadlineIsLateEvenIfItsQuestionIsStillOpen(t *testing.T) {
	g, _ := startGate(t, nil)
	waiting := &pendingQuestion{deadline: time.Now().Add(-time.Millisecond), answer: make(chan incoming, 1)}
	g.mu.Lock()
	g.pending[99] = waiting
	g.mu.Unlock()
	g.deliver(99, incoming{})
	if len(waiting.answer) != 0 || g.ignored.Load() != 1 {
		t.Errorf("%d answers given, %d ignored", len(waiting.answer), g.ignored.Load())
	}
}

func TestSecondAnswerIsIgnored(t *testing.T) {
	g, broker := startGate(t, nil)
	answered := ask(g)
	q := broker.expect("question")
	broker.send(frame{"type": "verdict", "id": q["id"], "account": "first"})
	broker.send(frame{"type": "verdict", "id": q["id"], "account": "second"})
	if got := receive(t, answered); string(got.frame.Account) != `"first"` {
		t.Errorf("got %s", got.frame.Account)
	}
	eventually(t, "the second answer is ignored", func() bool { return g.ignored.Load() == 1 })
}

func TestQuestionsInFlightAreBounded(t *testing.T) {
	g, broker := startGate(t, nil) // two at most
	first := ask(g)
	q := broker.expect("question")
	ask(g)
	broker.expect("question")
	if got := receive(t, ask(g)); got.why != causeOverflow {
		t.Fatalf("got %+v, want an overflow", got)
	}
	broker.expectNothing()
	broker.send(frame{"type": "verdict", "id": q["id"]})
	receive(t, first)
	ask(g)
	broker.expect("question")
}

func TestQuestionThatCannotBeSentIsAnOverflow(t *testing.T) {
	conn, file := socketPair(t)
	defer conn.Close()
	g := newGate(engineEnd(t, file), brokerHello{Generation: 7, AnswerWithinMS: 10_000, MaxQuestions: 5}) // no writer
	for range g.maxQuestions + spareFrames {
		g.send(refusal{}, inAnyCase)
	}
	q := &question{}
	if _, why := g.ask(q, time.Now()); why != causeOverflow || q.ID != 0 || g.open() != 0 {
		t.Errorf("full queue: got %v with id %d", why, q.ID)
	}
	big := &question{request: request{Name: strings.Repeat("x", maxFrame)}}
	if _, why := g.ask(big, time.Now()); why != causeOverflow {
		t.Errorf("too large: got %v", why)
	}
}

func TestReportsLeaveRoomForQuestions(t *testing.T) {
	conn, file := socketPair(t)
	defer conn.Close()
	g := newGate(engineEnd(t, file), brokerHello{Generation: 7, AnswerWithinMS: 10_000, MaxQuestions: 5}) // no writer
	told := 0
	g.debugf = func(string, ...any) { told++ }
	for range 2 * spareFrames {
		g.report(&question{}, causeTimeout)
	}
	if g.outbox.len() != spareFrames || g.dropped.Load() != spareFrames {
		t.Errorf("%d reports queued, %d dropped", g.outbox.len(), g.dropped.Load())
	}
	if told != 1 {
		t.Errorf("the log was told %d times in a moment", told)
	}
	for range 5 {
		if g.send(question{}, g.maxQuestions+spareFrames) == nil {
			t.Error("there is no room for questions")
		}
	}
}

func TestProtocolErrorsEndTheGate(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":              "verdict",
		"no object":            "[]",
		"no type":              `{"id":1}`,
		"unknown type":         `{"type":"order"}`,
		"second hello":         `{"type":"hello","protocol":2}`,
		"verdict without id":   `{"type":"verdict","allow":true}`,
		"verdict, text id":     `{"type":"verdict","id":"1"}`,
		"verdict, id zero":     `{"type":"verdict","id":0}`,
		"verdict, id below":    `{"type":"verdict","id":-1}`,
		"generation went back": `{"type":"generation","generation":6}`,
		"generation missing":   `{"type":"generation"}`,
		"generation text":      `{"type":"generation","generation":"8"}`,
		"zero frame":           "",
		"oversized frame":      strings.Repeat("x", maxFrame+1),
	} {
		g, broker := startGate(t, nil)
		open := ask(g)
		broker.expect("question")
		go broker.conn.Write(wire(body)) // The engine need not read it all.
		receive(t, g.lost)
		if !errors.Is(g.err, errProtocol) {
			t.Errorf("%s: the gate ended with %v", name, g.err)
		}
		if got := receive(t, open); got.why != causeStopping {
			t.Errorf("%s: the open question got %+v", name, got)
		}
	}
}

func TestEndOfFileIsNoProtocolError(t *testing.T) {
	for name, last := range map[string][]byte{"between frames": nil, "inside a frame": wire("abc")[:5]} {
		g, broker := startGate(t, nil)
		broker.raw(last)
		broker.conn.Close()
		receive(t, g.lost)
		if !errors.Is(g.err, errGateClosed) {
			t.Errorf("%s: the gate ended with %v", name, g.err)
		}
		if g.send(refusal{}, inAnyCase) != nil {
			t.Errorf("%s: a frame was taken after the end", name)
		}
	}
}

// TestBrokerThatDoesNotReadIsOnlySlow has a broker leave its gate unread for many times the time of a question.
func TestBrokerThatDoesNotReadIsOnlySlow(t *testing.T) {
	conn, file := socketPair(t)
	defer conn.Close()
	g := newGate(engineEnd(t, file), brokerHello{Generation: 7, AnswerWithinMS: 30, MaxQuestions: 5})
	g.debugf = t.Logf
	go g.read(bufio.NewReader(g.conn))
	go g.write()
	go g.tellLosses(time.Millisecond)
	stalled := time.Now()
	for time.Since(stalled) < 300*time.Millisecond {
		var answers []chan answer
		for range 5 {
			answers = append(answers, ask(g, question{request: request{Name: strings.Repeat("x", 100_000)}}))
		}
		for _, each := range answers {
			if got := receive(t, each); got.why != causeTimeout && got.why != causeOverflow {
				t.Fatalf("a question nobody read was answered with %+v", got)
			}
			g.report(&question{ID: 1}, causeTimeout)
		}
		if waiting := g.outbox.len(); waiting > 5+spareFrames+1 {
			t.Fatalf("%d frames wait", waiting)
		}
	}
	select {
	case <-g.lost:
		t.Fatalf("the gate ended: %v", g.err)
	default:
	}
	if g.withdrawn.Load() == 0 {
		t.Error("no question was taken back though nobody waits for any of them")
	}

	g.answerWithin = patience
	goesOn(t, g, newFakeBroker(t, conn))
}

// goesOn looks at what comes after a stall: whole frames, and a question that is answered.
func goesOn(t *testing.T, g *gate, broker *fakeBroker) {
	fresh := ask(g, question{request: request{Name: "fresh"}})
	stale, told := 0, false
	for answered := false; !answered || !told; {
		switch f := receive(t, broker.frames); {
		case f["type"] == "question" && f["name"] == "fresh":
			broker.send(frame{"type": "verdict", "id": f["id"], "account": "a"})
			answered = true
		case f["type"] == "question":
			stale++
		case f["type"] == "losses":
			told = told || f["questions"].(float64) > 0
		}
	}
	if got := receive(t, fresh); got.why != causeNone {
		t.Errorf("the question after the stall got %+v", got)
	}
	if stale > 20 {
		t.Errorf("%d questions came that nobody waits for: more than what was on its way", stale)
	}
}

func TestOutbox(t *testing.T) {
	o := newOutbox()
	first, second := o.put([]byte("1"), 2), o.put([]byte("2"), 2)
	if first == nil || second == nil || o.put([]byte("3"), 2) != nil || o.put([]byte("4"), inAnyCase) == nil {
		t.Error("the bound is not the one given")
	}
	if !o.withdraw(second) || o.withdraw(second) {
		t.Error("a frame can be withdrawn once")
	}
	if string(o.take()) != "1" || o.withdraw(first) || string(o.take()) != "4" || o.take() != nil {
		t.Error("frames come in their order, each once, and not those withdrawn")
	}
}

func TestHaltRefusesOpenQuestionsAndKeepsTheSocket(t *testing.T) {
	g, broker := startGate(t, nil)
	open := ask(g)
	broker.expect("question")
	g.halt()
	if got := receive(t, open); got.why != causeStopping {
		t.Errorf("the open question got %+v", got)
	}
	if _, why := g.ask(&question{}, time.Now()); why != causeOverflow {
		t.Errorf("a question after the end got %v", why)
	}
	broker.send(frame{"type": "generation", "generation": 9})
	eventually(t, "the gate still reads", func() bool { return g.generation.Load() == 9 })
}
