package main

// The engine's side of the gate; choria_broker/engine/gate/gate.py is the other one.
//
// States. A gate goes one way only: hands are shaken (both send hello at once, before any listener opens), then it
// carries frames, then it is halted (nothing more is asked, the socket stays open to tell of the broker's end), then lost.
// Once the hello is there, the broker may send verdicts, generation, reload, authorities, drain, sessions and end in any
// order; the engine questions, admitted, refusals, losses, crowd and moving, ready once, and an answer for each of the others. What
// the broker must not send is a protocol error, which loses the gate and ends the engine.
//
// A question is open from ask until its answer, its deadline or the halt, whichever is first. Only the first well-formed
// verdict in that time, of no older generation than the newest, can let its connection in:
//
//   - No answer by the deadline refuses the connection. A question that the writer has not taken by then is withdrawn, so
//     that a broker that comes to itself finds only what still counts.
//   - An answer that is late, the second, or for no question is counted and ignored. One that the reader took in time
//     counts however late the goroutine that asked wakes up.
//   - A report (refusal, losses, crowd) that is lost costs a line or a number, never a decision. Reports give way to
//     questions, and are counted when they are dropped.
//
// Nobody waits for the broker without a limit but the writer. A broker that does not read is slow; only the end of the
// socket, or an error on it, loses the gate. Without a gate there is nobody to ask, so the engine ends.

import (
	"bufio"
	"container/list"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	helloTimeout = 10 * time.Second
	// spareFrames is the room in the outbox besides the questions, and the most that refusals may take.
	spareFrames = 1024
	// inAnyCase is room for the few frames that have to be sent whatever waits already.
	inAnyCase = math.MaxInt
	// countsEvery bounds the rate of the log line about what was ignored and dropped.
	countsEvery = 10 * time.Second
)

// errGateClosed says that the broker closed its end of the gate, or is no more.
var errGateClosed = errors.New("the broker closed the gate")

// openGate takes over the inherited descriptor of the gate.
func openGate(fd int) (net.Conn, error) {
	if fd < 0 {
		return nil, errors.New("no gate: start the engine with --gate-fd and an inherited socket")
	}
	file := os.NewFile(uintptr(fd), "gate")
	defer file.Close() // FileConn works on a duplicate.
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d of --gate-fd is not a socket", fd)
	}
	if _, ok := conn.(*net.UnixConn); !ok {
		return nil, errors.Join(fmt.Errorf("descriptor %d of --gate-fd is not a Unix socket", fd), conn.Close())
	}
	return conn, nil
}

// shakeHands sends the engine's hello and returns the broker's. Neither side waits for the other to begin.
func shakeHands(conn net.Conn, reader *bufio.Reader, version string, timeout time.Duration) (brokerHello, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return brokerHello{}, err
	}
	frame, err := encodeFrame(engineHello{Type: "hello", Protocol: protocolVersion, Engine: version, NATS: server.VERSION})
	if err != nil {
		return brokerHello{}, err
	}
	var body []byte
	if _, err = conn.Write(frame); err == nil {
		body, err = readFrame(reader)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return brokerHello{}, fmt.Errorf("no hello from the broker within %s", timeout)
	}
	if err != nil {
		return brokerHello{}, fmt.Errorf("no hello from the broker: %w", closedOr(err))
	}
	hello, err := parseHello(body)
	if err != nil {
		return brokerHello{}, err
	}
	return hello, conn.SetDeadline(time.Time{})
}

// closedOr turns every form in which a peer can go away into errGateClosed.
func closedOr(err error) error {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, end) {
			return errGateClosed
		}
	}
	return err
}

// gate carries questions to the broker and verdicts back. One goroutine reads, one writes; nobody else touches
// the socket, and nobody waits for either of them without a limit. The one that writes may wait for ever: a broker that
// does not read is slow, and only one that is gone is lost.
type gate struct {
	conn         net.Conn
	maxQuestions int
	answerWithin time.Duration
	debugf       func(format string, args ...any)
	reload       func(order incoming)
	revoke       func(order incoming)
	authorities  func(order incoming)
	drain        func(order incoming)
	list         func(order incoming) // answers a question for sessions
	end          func(order incoming) // ends sessions
	renewed      func()               // the policy is another one by now
	lostLines    func() uint64        // lines of the log that were dropped so far
	orders       inOrder              // what changes the engine: a reload that comes later is to have the last word

	generation atomic.Uint64
	outbox     *outbox
	admissions admissions
	halted     chan struct{} // closed when nothing more is asked
	haltOnce   sync.Once
	lost       chan struct{} // closed when the gate is lost
	loseOnce   sync.Once
	err        error // why the gate was lost; to be read once lost is closed

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]*pendingQuestion

	ignored   atomic.Uint64 // answers nobody waited for
	dropped   atomic.Uint64 // reports that found the outbox full
	withdrawn atomic.Uint64 // questions whose time was over before the broker took them
	lastTold  atomic.Int64  // Unix time in nanoseconds of the last log line about these
}

type pendingQuestion struct {
	deadline time.Time
	answer   chan incoming // holds one, so that the reader never waits
}

func newGate(conn net.Conn, hello brokerHello) *gate {
	g := &gate{
		conn:         conn,
		maxQuestions: hello.MaxQuestions,
		answerWithin: time.Duration(hello.AnswerWithinMS) * time.Millisecond,
		lostLines:    func() uint64 { return 0 },
		outbox:       newOutbox(),
		halted:       make(chan struct{}),
		lost:         make(chan struct{}),
		pending:      make(map[uint64]*pendingQuestion),
	}
	g.generation.Store(hello.Generation)
	g.admissions.put = func(told admittedOnes) { g.put(told, inAnyCase) }
	g.renewed = func() {}
	return g
}

// halt refuses every open question at once and asks no more. The socket stays open: its end tells of the broker's.
func (g *gate) halt() {
	g.haltOnce.Do(func() { close(g.halted) })
}

func (g *gate) lose(err error) {
	g.halt()
	g.loseOnce.Do(func() {
		g.err = closedOr(err)
		close(g.lost)
		g.conn.Close()
	})
}

// read takes what the broker sends. The reader may hold bytes already that came after the hello.
func (g *gate) read(reader *bufio.Reader) {
	for {
		body, err := readFrame(reader)
		if err == nil {
			err = g.receive(body)
		}
		if err != nil {
			g.lose(err)
			return
		}
	}
}

func (g *gate) receive(body []byte) error {
	frame, err := parseIncoming(body)
	if err != nil {
		return err
	}
	switch frame.Type {
	case "verdict":
		id, ok := positive(frame.ID)
		if !ok {
			return protocolErrorf("a verdict without a usable 'id'")
		}
		g.deliver(id, frame)
	case "generation":
		generation, ok := positive(frame.Generation)
		if !ok || generation < g.generation.Load() {
			return protocolErrorf("a policy generation that is no integer or went back")
		}
		g.generation.Store(generation)
		g.renewed() // What is remembered goes after that.
	case "reload":
		g.orders.run(func() { g.reload(frame) })
	case "revoked":
		g.orders.run(func() { g.revoke(frame) })
	case "authorities":
		go g.authorities(frame)
	case "drain":
		g.orders.run(func() { g.drain(frame) })
	case "sessions":
		go g.list(frame)
	case "end":
		go g.end(frame)
	default:
		return protocolErrorf("a frame of the unknown type %.40q", frame.Type)
	}
	return nil
}

// deliver hands an answer to the question that waits for it, if one still does.
func (g *gate) deliver(id uint64, frame incoming) {
	g.mu.Lock()
	waiting, ok := g.pending[id]
	inTime := ok && !time.Now().After(waiting.deadline)
	if inTime {
		delete(g.pending, id)
	}
	g.mu.Unlock()
	if inTime {
		waiting.answer <- frame
		return
	}
	g.count(&g.ignored)
}

// count counts what an operator can only see in the log, which tells of it now and then.
func (g *gate) count(counter *atomic.Uint64) {
	counter.Add(1)
	last, now := g.lastTold.Load(), time.Now().UnixNano()
	if now-last >= int64(countsEvery) && g.lastTold.CompareAndSwap(last, now) {
		g.debugf("Gate: so far %d answers were ignored (late, given twice, or to no question) and %d reports dropped", g.ignored.Load(), g.dropped.Load())
	}
}

// ask puts a question and returns the answer, or the cause of a refusal. It fills in the id and the deadline.
func (g *gate) ask(q *question, start time.Time) (incoming, cause) {
	waiting := &pendingQuestion{deadline: start.Add(g.answerWithin), answer: make(chan incoming, 1)}
	q.Type, q.Deadline = "question", waiting.deadline.UnixMilli()
	g.mu.Lock()
	if len(g.pending) >= g.maxQuestions {
		g.mu.Unlock()
		return incoming{}, causeOverflow
	}
	g.lastID++
	q.ID = g.lastID
	g.pending[q.ID] = waiting
	g.mu.Unlock()
	defer g.forget(q.ID)

	// Who is in can be told of later. Otherwise the broker would hear of each by itself, with the next one's question.
	place := g.put(q, g.maxQuestions+spareFrames)
	if place == nil {
		q.ID = 0 // The broker will never see it.
		return incoming{}, causeOverflow
	}
	defer func() {
		if g.outbox.withdraw(place) {
			g.withdrawn.Add(1)
		}
	}()
	timer := time.NewTimer(time.Until(waiting.deadline))
	defer timer.Stop()
	select {
	case frame := <-waiting.answer:
		return frame, causeNone
	case <-g.halted:
		return incoming{}, causeStopping
	case <-timer.C:
	}
	// The reader takes only what is in time, so an answer it has taken counts however late this goroutine woke up.
	g.forget(q.ID)
	select {
	case frame := <-waiting.answer:
		return frame, causeNone
	default:
		return incoming{}, causeTimeout
	}
}

func (g *gate) forget(id uint64) {
	g.mu.Lock()
	delete(g.pending, id)
	g.mu.Unlock()
}

// report tells the broker of a refusal that was not its own. Reports never take the room of questions.
func (g *gate) report(q *question, why cause) {
	if why == causeNone || why == causeDenied || why == causeStopping {
		return
	}
	r := refusal{Type: "refusal", ID: q.ID, Connection: q.Connection, Address: q.Address, Cause: why}
	if g.send(r, spareFrames) == nil {
		g.count(&g.dropped)
	}
}

// send queues a frame unless most wait already, and returns its place; nil when that is not possible, which for a question
// has to be a refusal.
func (g *gate) send(message any, most int) *list.Element {
	g.admissions.flush()
	return g.put(message, most)
}

func (g *gate) put(message any, most int) *list.Element {
	frame, err := encodeFrame(message)
	if err != nil {
		return nil
	}
	select {
	case <-g.halted:
		return nil
	default:
	}
	return g.outbox.put(frame, most)
}

// tellLosses tells the broker now and then how much it could not be told, until nothing more is asked.
func (g *gate) tellLosses(every time.Duration) {
	tellChanges(g, every, losses{Type: "losses"}, func() losses {
		return losses{Type: "losses", Questions: g.withdrawn.Load(), Reports: g.dropped.Load(), LogLines: g.lostLines()}
	})
}

// tellChanges sends what is measured, whenever it is not what the broker knows, until nothing more is asked.
func tellChanges[T comparable](g *gate, every time.Duration, told T, measure func() T) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last *list.Element
	for {
		select {
		case <-g.halted:
			return
		case <-ticker.C:
		}
		now := measure()
		if now == told {
			continue
		}
		if last != nil {
			g.outbox.withdraw(last) // One that was not taken yet is out of date.
		}
		last, told = g.send(now, inAnyCase), now
	}
}

// write sends what is queued, in as few writes as the queue allows. A frame that was begun is always ended.
func (g *gate) write() {
	writer := bufio.NewWriterSize(g.conn, 1<<16)
	for {
		frame := g.outbox.take()
		var err error
		switch {
		case frame != nil:
			_, err = writer.Write(frame)
		case writer.Buffered() > 0:
			err = writer.Flush()
		default:
			select {
			case <-g.lost:
				return
			case <-g.outbox.filled:
			}
		}
		if err != nil {
			g.lose(err)
			return
		}
	}
}
