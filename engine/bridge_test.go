package main

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestBridgeOpensWithTheSecret(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	tls := plainConfig + ca.tlsBlock(ca.caFile())
	token, password := nats.Token(testSecret), nats.UserInfo("account/ACME", testSecret)
	for name, c := range map[string]struct {
		config string
		login  nats.Option
		user   any
	}{"plain": {plainConfig, token, nil}, "TLS": {tls, token, nil}, "as a password": {tls, password, "account/ACME"}} {
		t.Run(name, func(t *testing.T) {
			e := startEngine(t, c.config, nil)
			client := e.connect(e.url("bridge"), c.login, nats.Name("broker"))
			q := e.expect("question")
			if q["kind"] != "in_process" || q["tls"] != "none" || q["address"] != "" || q["name"] != "broker" || q["nonce"] == "" || q["user"] != c.user {
				t.Errorf("got question %v", q)
			}
			if q["token"] != nil || q["password"] != nil {
				t.Errorf("the question carries the secret: %v", q)
			}
			e.send(allowing(q))
			conn := client.in()
			sub, err := conn.SubscribeSync("a")
			if err != nil {
				t.Fatal(err)
			}
			payload := make([]byte, 1<<19) // More than any buffer on the way.
			if err := conn.Publish("a", payload); err != nil {
				t.Fatal(err)
			}
			if msg, err := sub.NextMsg(patience); err != nil || len(msg.Data) != len(payload) {
				t.Errorf("got %v", err)
			}
			conn.Close()
			eventually(t, "the connection is closed on the inside", func() bool { return e.srv.NumClients() == 0 })
		})
	}
}

func TestBridgeStaysShutWithoutTheSecret(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	for name, options := range map[string][]nats.Option{
		"none": nil, "wrong": {nats.Token(testSecret + "x")}, "part": {nats.Token(testSecret[1:])},
		"part as a password": {nats.UserInfo("", testSecret[1:])}, "as a user": {nats.UserInfo(testSecret, "x")},
	} {
		e.connect(e.url("bridge"), options...).refused()
		if f := e.expectRefusal(causeBridgeSecret, 0.0); f["address"] != "" {
			t.Errorf("%s: got %v", name, f)
		}
	}
	e.expectNothing()
}

func TestSecretMeansNothingOnPublicPorts(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+`websocket { listen: "127.0.0.1:-1", no_tls: true }`, nil)
	for _, listener := range []string{"client", "websocket"} {
		client := e.connect(e.url(listener), nats.Token(testSecret))
		q := e.expect("question")
		if q["kind"] != "client" {
			t.Errorf("%s: kind %v", listener, q["kind"])
		}
		e.send(allowing(q, frame{"allow": false}))
		client.refused()
	}
}

func TestBridgeEndsSilentConnections(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+"authorization { timeout: 0.2 }", nil)
	told, err := io.ReadAll(e.own.dialed(t))
	if err != nil || !strings.HasSuffix(string(told), "-ERR 'Authentication Timeout'\r\n") {
		t.Errorf("got %q, %v", told, err)
	}
}

// falseBridge is a bridge without a server behind it: the test has the inside of each connection.
func falseBridge(t *testing.T) (private, chan net.Conn) {
	t.Helper()
	path, listener := privateSocket(t)
	inside := make(chan net.Conn, 2*maxBridged)
	go serveBridge(listener, func() (net.Conn, error) {
		near, far := net.Pipe()
		far.SetDeadline(time.Now().Add(patience))
		inside <- far
		return near, nil
	})
	return path, inside
}

func (p private) dialed(t *testing.T) net.Conn {
	t.Helper()
	conn, err := p.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestBridgeCarriesBothWaysUntilEitherEnds(t *testing.T) {
	t.Parallel()
	p, inside := falseBridge(t)
	for name, end := range map[string]func(near, far net.Conn){
		"the client":  func(near, far net.Conn) { near.Close() },
		"the library": func(near, far net.Conn) { far.Close() },
	} {
		near := p.dialed(t)
		far := receive(t, inside)
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			go io.WriteString(way[0], "said")
			if _, err := io.ReadFull(way[1], make([]byte, len("said"))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		end(near, far)
		for _, conn := range []net.Conn{near, far} {
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s ended, and a connection stays: %v", name, err)
			}
		}
	}
}

func TestTheLibrarysLastWordsGoOut(t *testing.T) {
	t.Parallel()
	p, inside := falseBridge(t)
	near := p.dialed(t)
	far := receive(t, inside)
	go func() { io.WriteString(far, "-ERR 'no'\r\n"); far.Close() }()
	if told, err := io.ReadAll(near); err != nil || string(told) != "-ERR 'no'\r\n" {
		t.Errorf("got %q, %v", told, err)
	}
}

func TestBridgeIsBounded(t *testing.T) {
	t.Parallel()
	p, inside := falseBridge(t)
	first := p.dialed(t)
	for range maxBridged {
		p.dialed(t)
	}
	for range maxBridged {
		receive(t, inside)
	}
	select {
	case <-inside:
		t.Fatal("one too many is carried")
	case <-time.After(100 * time.Millisecond): // What must not happen has no event to wait for.
	}
	first.Close()
	receive(t, inside)
}

func TestBridgeWithoutAServer(t *testing.T) {
	t.Parallel()
	path, listener := privateSocket(t)
	go serveBridge(listener, func() (net.Conn, error) { return nil, io.EOF })
	if _, err := path.dialed(t).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
