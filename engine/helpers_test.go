package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

var testSecret = strings.Repeat("bridge-secret-", 4)

// frame is what the fake broker receives or sends.
type frame = map[string]any

// fakeBroker is the other end of a gate.
type fakeBroker struct {
	t      testing.TB
	conn   net.Conn
	frames chan frame // closed at the end of the gate
	// asides are frames that are told at times, whatever a test is about, by type; closed at the end of the gate too.
	asides map[string]chan frame
}

// socketPair returns both ends of a gate; the second is not wrapped, to be inherited or taken over.
func socketPair(t testing.TB) (net.Conn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "broker")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "engine")
	t.Cleanup(func() { conn.Close(); theirs.Close() })
	return conn, theirs
}

// engineEnd opens the engine's end as the engine itself does.
func engineEnd(t testing.TB, file *os.File) net.Conn {
	t.Helper()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	conn, err := openGate(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func newFakeBroker(t testing.TB, conn net.Conn) *fakeBroker {
	b := &fakeBroker{t: t, conn: conn, frames: make(chan frame, 10_000), asides: map[string]chan frame{}}
	for _, kind := range []string{"crowd", "moving", "waiting"} {
		b.asides[kind] = make(chan frame, 10_000)
	}
	go func() {
		defer close(b.frames)
		for _, told := range b.asides {
			defer close(told)
		}
		reader := bufio.NewReader(conn)
		for {
			body, err := readFrame(reader)
			if err != nil {
				return
			}
			var f frame
			if err := json.Unmarshal(body, &f); err != nil {
				return
			}
			request, _ := f["request"].(frame)
			maps.Copy(f, request) // Tests look at one level only.
			delete(f, "request")
			kind, _ := f["type"].(string)
			b.queue(kind) <- f
		}
	}()
	return b
}

// queue is where frames of a type arrive.
func (b *fakeBroker) queue(kind string) chan frame {
	if aside, ok := b.asides[kind]; ok {
		return aside
	}
	return b.frames
}

func (b *fakeBroker) raw(data []byte) {
	b.t.Helper()
	if _, err := b.conn.Write(data); err != nil {
		b.t.Fatalf("writing to the gate: %v", err)
	}
}

func (b *fakeBroker) send(message any) {
	b.t.Helper()
	body, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	b.text(string(body))
}

// text sends a frame with a body that need not be JSON.
func (b *fakeBroker) text(body string) {
	b.t.Helper()
	b.raw(wire(body))
}

// wire returns a frame with whatever body.
func wire(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// expect returns the next frame, which has to be of the given type.
func (b *fakeBroker) expect(kind string) frame {
	b.t.Helper()
	select {
	case f, ok := <-b.queue(kind):
		if !ok {
			b.t.Fatalf("the gate ended; wanted a %s", kind)
		}
		if f["type"] != kind {
			b.t.Fatalf("wanted a %s, got %v", kind, f)
		}
		return f
	case <-time.After(patience):
		b.t.Fatalf("no %s on the gate", kind)
	}
	return nil
}

// expectAfterLosses is expect for an engine that may have lost something meanwhile.
func (b *fakeBroker) expectAfterLosses(kind string) frame {
	b.t.Helper()
	for {
		select {
		case f, ok := <-b.frames:
			if ok && f["type"] == "losses" {
				continue
			}
			if !ok || f["type"] != kind {
				b.t.Fatalf("wanted a %s, got %v", kind, f)
			}
			return f
		case <-time.After(patience):
			b.t.Fatalf("no %s on the gate", kind)
		}
	}
}

func (b *fakeBroker) expectRefusal(why cause, id any) frame {
	b.t.Helper()
	f := b.expect("refusal")
	if f["cause"] != string(why) || f["id"] != id {
		b.t.Fatalf("wanted a refusal of question %v for %s, got %v", id, why, f)
	}
	return f
}

// expectNothing makes sure that no frame is waiting, once the engine cannot have more to say.
func (b *fakeBroker) expectNothing() {
	b.t.Helper()
	select {
	case f := <-b.frames:
		b.t.Fatalf("unexpected frame %v", f)
	default:
	}
}

func validHello() frame {
	return frame{"type": "hello", "protocol": protocolVersion, "generation": 7, "authentication": "questions",
		"optional_client_certificates": false, "bridge_secret": testSecret, "answer_within_ms": 10_000, "max_questions": 100, "max_unauthenticated": 1000, "max_handshakes": 1000}
}

// allowing is a verdict that lets the connection in without limits, changed by the given fields.
func allowing(question frame, changes ...frame) frame {
	v := frame{"type": "verdict", "id": question["id"], "generation": 7, "allow": true, "account": "choria",
		"username": "shown", "permissions": nil, "max_subscriptions": 20_000, "holder": frame{"method": "mtls"}}
	for _, change := range changes {
		for field, value := range change {
			if value == absent {
				delete(v, field)
			} else {
				v[field] = value
			}
		}
	}
	return v
}

// absent as the value of a change removes the field.
var absent = new(int)

// testEngine is an engine in this process with a fake broker.
type testEngine struct {
	*engine
	*fakeBroker
	ports     map[string]int
	own       private // the bridge's socket
	terminate chan os.Signal
	exited    chan struct{} // closed when the engine has ended
	code      int           // its exit code
}

const plainConfig = `
listen: "127.0.0.1:-1"
server_name: test
authorization { timeout: 60 }
accounts { choria {}, other {}, system {} }
system_account: system
`

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func prepareEngine(t testing.TB, config string, changes frame) (*testEngine, error) {
	t.Helper()
	return prepareEngineWith(t, config, changes, nil)
}

func prepareEngineWith(t testing.TB, config string, changes frame, keys *keyProcesses) (*testEngine, error) {
	t.Helper()
	hello := validHello()
	for field, value := range changes {
		hello[field] = value
	}
	conn, file := socketPair(t)
	e := &testEngine{fakeBroker: newFakeBroker(t, conn), terminate: make(chan os.Signal, 2), exited: make(chan struct{})}
	e.send(hello)
	engineConn := engineEnd(t, file)
	reader := bufio.NewReader(engineConn)
	parsed, err := shakeHands(engineConn, reader, "test", patience)
	if err != nil {
		t.Fatal(err)
	}
	if e.engine, err = newEngine(writeFile(t, "nats.conf", config), engineConn, parsed, keys, newJournal(io.Discard)); err != nil {
		return nil, err
	}
	e.srv.SetLoggerV2(nil, false, false, false)
	e.waitFor(time.Hour) // A busy machine keeps its clients waiting; tests of that say so.
	e.own, e.bridge = privateSocket(t)
	go e.gate.read(reader)
	go e.gate.write()
	e.expect("hello")
	return e, nil
}

// startEngine returns an engine that is ready. It ends with the test.
func startEngine(t testing.TB, config string, changes frame) *testEngine {
	t.Helper()
	return startEngineWith(t, config, changes, nil)
}

func startEngineWith(t testing.TB, config string, changes frame, keys *keyProcesses) *testEngine {
	t.Helper()
	e, err := prepareEngineWith(t, config, changes, keys)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.exited)
		e.code, _ = e.live(e.terminate)
	}()
	t.Cleanup(func() {
		e.fakeBroker.conn.Close()
		e.waitExit()
	})
	e.ports = map[string]int{}
	for name, port := range e.expect("ready")["ports"].(map[string]any) {
		e.ports[name] = int(port.(float64))
	}
	return e
}

// waitExit returns the exit code the engine ended with.
func (e *testEngine) waitExit() int {
	e.t.Helper()
	select {
	case <-e.exited:
	case <-time.After(patience):
		e.t.Fatal("the engine did not end")
	}
	return e.code
}

func (e *testEngine) connect(url string, options ...nats.Option) *connecting {
	c := &connecting{t: e.t, done: make(chan struct{})}
	if url == bridged {
		options = append(options, nats.InProcessServer(e.own))
	}
	go func() {
		defer close(c.done)
		c.conn, c.err = nats.Connect(url, append([]nats.Option{nats.NoReconnect(), nats.Timeout(patience)}, options...)...)
	}()
	return c
}

func (e *testEngine) url(listener string) string {
	if listener == "bridge" {
		return bridged
	}
	scheme := map[string]string{"websocket": "ws"}[listener]
	if scheme == "" {
		scheme = "nats"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, e.ports[listener])
}

// eventually waits for a state that nothing announces.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
