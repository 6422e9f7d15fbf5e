package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

var publicListeners = []string{"client", "websocket", "leafnode", "cluster", "gateway"}

// everyListener opens all public listeners, with the block in each. Strangers may take as long as a busy machine needs.
func everyListener(block string) string {
	return fmt.Sprintf(`
		authorization { timeout: 60 }
		%[1]s
		websocket { listen: "127.0.0.1:-1", handshake_timeout: "60s", %[2]s }
		leafnodes { listen: "127.0.0.1:-1", authorization { timeout: 60 }, %[1]s }
		cluster { name: A, listen: "127.0.0.1:-1", pool_size: -1, routes: [ "nats://127.0.0.1:1" ], authorization { timeout: 60 }, %[1]s }
		gateway { name: A, listen: "127.0.0.1:-1", authorization { timeout: 60 }, %[1]s }
	`, block, map[bool]string{true: "no_tls: true", false: block}[block == ""])
}

// hasty has strangers be in within half a second.
func hasty(listeners string) string {
	return strings.NewReplacer("timeout: 60", "timeout: 0.5", `"60s"`, `"300ms"`).Replace(listeners)
}

// silent opens connections that say nothing, from an address of 127.0.0.0/8; nil are those that were refused at once.
func silent(t testing.TB, port, count int, from string) []net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	var all []net.Conn
	for range count {
		conn, err := dialer.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		} else if !errors.Is(err, unix.ECONNRESET) {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	return all
}

// ended counts the connections that the server has closed.
func ended(all []net.Conn) (count int) {
	for _, conn := range all {
		if conn == nil {
			count++
			continue
		}
		conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := io.Copy(io.Discard, conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			count++
		}
	}
	return count
}

func TestStrangersAreBoundedOnEveryListener(t *testing.T) {
	t.Parallel()
	for _, listener := range publicListeners {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, plainConfig+everyListener(""), frame{"max_unauthenticated": 10})
			first := silent(t, e.ports[listener], 3, "127.0.0.9")
			crowd := silent(t, e.ports[listener], 60, "127.0.0.10")
			eventually(t, "all but ten are closed", func() bool { return ended(first)+ended(crowd) == 53 })
			if ended(first) != 0 {
				t.Errorf("the crowd of one address took the places of others: %d", ended(first))
			}
			if told := e.expect("crowd"); told[listener] == 0.0 {
				t.Errorf("the broker was told %v", told)
			}
			late := silent(t, e.ports[listener], 1, "127.0.0.11")
			eventually(t, "the crowd makes room for somebody else", func() bool { return ended(first)+ended(crowd) == 54 })
			if ended(late) != 0 || ended(first) != 0 {
				t.Errorf("%d of the late, %d of the first were closed", ended(late), ended(first))
			}
		})
	}
}

// letIn connects a client whatever else the broker is told.
func (e *testEngine) letIn(listener string) *nats.Conn {
	e.t.Helper()
	client := e.connect(e.url(listener))
	for {
		select {
		case f := <-e.frames:
			if f["type"] == "question" {
				e.send(allowing(f))
				return client.in()
			}
		case <-client.done:
			e.t.Fatalf("a good login on %s: %v", listener, client.err)
		}
	}
}

func TestGoodLoginsGetPastACrowd(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+everyListener(""), frame{"max_unauthenticated": 4})
	for _, listener := range []string{"client", "websocket"} {
		silent(t, e.ports[listener], 40, "127.0.0.10")
		for range 10 {
			e.letIn(listener)
		}
	}
}

// TestMaxConnectionsCountsWhoIsIn has strangers neither use it up nor get told of it.
func TestMaxConnectionsCountsWhoIsIn(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+"max_connections: 2\n"+everyListener(""), nil)
	for _, listener := range []string{"client", "websocket"} {
		silent(t, e.ports[listener], 20, "127.0.0.10")
	}
	in := []*nats.Conn{}
	for _, listener := range []string{"client", "websocket"} {
		client := e.connect(e.url(listener))
		e.send(allowing(e.expect("question")))
		in = append(in, client.in())
	}
	for _, listener := range []string{"client", "websocket"} {
		c := e.connect(e.url(listener))
		c.wait()
		// A refusal can be quicker than the client's own writes.
		if c.err == nil || !strings.Contains(c.err.Error(), "maximum connections exceeded") && !errors.Is(c.err, unix.EPIPE) && !errors.Is(c.err, unix.ECONNRESET) {
			t.Errorf("the third on %s got %v", listener, c.err)
		}
	}
	own := e.connect(e.url("bridge"), nats.Token(testSecret))
	e.send(allowing(e.expect("question")))
	own.in()
	in[1].Close()
	eventually(t, "there is a place again", func() bool {
		c := e.connect(e.url("client"))
		select {
		case f := <-e.frames:
			if f["type"] == "question" {
				e.send(allowing(f))
				c.in()
				return true
			}
			return false
		case <-c.done:
			return false
		}
	})
	e.expectNothing()
}

// TestStrangersEndInTime has every kind of silence end on every listener.
// trickle says a text byte by byte.
func trickle(conn net.Conn, text string) {
	for i := range len(text) {
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// lingering are strangers that come to no end by themselves, with and without TLS.
func lingering(secured func(net.Conn) net.Conn) map[string]func(net.Conn) {
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 100)
	return map[string]func(net.Conn){
		"nothing":              func(net.Conn) {},
		"half a TLS handshake": func(conn net.Conn) { conn.Write([]byte(hello[:40])) },
		"a slow TLS handshake": func(conn net.Conn) { trickle(conn, hello) },
		"TLS and nothing":      func(conn net.Conn) { secured(conn) },
		"TLS and half a line": func(conn net.Conn) {
			io.WriteString(secured(conn), `CONNECT {"verbose":`)
		},
		"TLS and a slow line": func(conn net.Conn) { trickle(secured(conn), "CONNECT {"+strings.Repeat(" ", 100)) },
		"TLS and half a request": func(conn net.Conn) {
			io.WriteString(secured(conn), "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n")
		},
		"TLS and a slow request": func(conn net.Conn) { trickle(secured(conn), "GET / HTTP/1.1\r\nHost: "+strings.Repeat("x", 100)) },
		"TLS and a websocket": func(conn net.Conn) {
			io.WriteString(secured(conn), "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		},
		"TLS and requests without end": func(conn net.Conn) {
			secure := secured(conn)
			for range 100 {
				if _, err := io.WriteString(secure, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		},
	}
}

func TestStrangersEndInTime(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	certificate := ca.issue("server")
	block := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, timeout: 60 }", ca.path("server.pem"), ca.path("server.key"), ca.path("ca.pem"))
	config := plainConfig + hasty(everyListener(block))
	config = strings.ReplaceAll(config, fmt.Sprintf(`"60s", %s`, block), `"60s", `+strings.Replace(block, ", timeout: 60", "", 1))
	e := startEngine(t, config, nil)
	for _, listener := range publicListeners {
		secured := func(conn net.Conn) net.Conn {
			if listener == "client" || listener == "leafnode" {
				if _, err := bufio.NewReaderSize(io.LimitReader(conn, 4096), 4096).ReadString('\n'); err != nil {
					return conn
				}
			}
			secure := tls.Client(conn, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{certificate}})
			secure.Handshake()
			return secure
		}
		for name, act := range lingering(secured) {
			t.Run(listener+": "+name, func(t *testing.T) {
				t.Parallel()
				conn := silent(t, e.ports[listener], 1, "127.0.0.1")[0]
				start := time.Now()
				go act(conn)
				eventually(t, "the server has closed it", func() bool { return !connected(conn) })
				if took := time.Since(start); took > 4*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
	eventually(t, "no stranger is left", func() bool {
		e.doors.mu.Lock()
		defer e.doors.mu.Unlock()
		return len(e.doors.byEndpoints) == 0
	})
}

// connected asks the kernel, so that nothing is read.
func connected(conn net.Conn) bool {
	state := byte(0)
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return state == 1 // TCP_ESTABLISHED
}

// TestDescriptorsAreNotForStrangers has more of them than descriptors.
func TestDescriptorsAreNotForStrangers(t *testing.T) {
	t.Parallel()
	config := plainConfig + everyListener("")
	p := startProcess(t, strings.ReplaceAll(config, `"60s"`, `"30s"`))
	const descriptorsOfIt = 256
	limit := unix.Rlimit{Cur: descriptorsOfIt, Max: descriptorsOfIt}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	p.send(validHello())
	p.expect("hello")
	ports := p.expect("ready")["ports"].(map[string]any)
	for i, listener := range publicListeners {
		for j := range 4 {
			silent(t, int(ports[listener].(float64)), 40, fmt.Sprintf("127.0.1.%d", 10*i+j+1))
		}
	}
	free := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return descriptorsOfIt - len(entries)
	}
	eventually(t, "the strangers leave descriptors", func() bool { return free() >= 24 })
	for _, listener := range []string{"client", "websocket"} {
		for range 10 {
			e := &testEngine{fakeBroker: p.fakeBroker, ports: map[string]int{listener: int(ports[listener].(float64))}}
			e.letIn(listener)
		}
	}
}

type countingConn struct {
	*net.TCPConn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(b)
}

// TestVisitorsAreWrittenToAtOnce holds what the library's throughput in clear text depends on: many buffers go out in
// one call to a connection that has a TCP connection inside.
func TestVisitorsAreWrittenToAtOnce(t *testing.T) {
	t.Parallel()
	listener := made(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	conn := made(net.Dial("tcp", listener.Addr().String()))
	defer conn.Close()
	wrapped := countingConn{conn.(*net.TCPConn), &atomic.Int64{}}
	buffers := net.Buffers{[]byte("a"), []byte("b"), []byte("c")}
	if n, err := buffers.WriteTo(wrapped); n != 3 || err != nil || wrapped.writes.Load() != 0 {
		t.Errorf("%d bytes, %v, %d writes", n, err, wrapped.writes.Load())
	}
}
