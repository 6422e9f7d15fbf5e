package main

import (
	"errors"
	"fmt"
	"io"
	"net"
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
	raw := dialRaw(t, e.ports["bridge"])
	if got := raw.line(); got != "-ERR 'Authentication Timeout'" {
		t.Errorf("got %q", got)
	}
	if _, err := raw.reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection stays: %v", err)
	}
}

func TestBridgeIsBounded(t *testing.T) {
	t.Parallel()
	inside := make(chan net.Conn, maxBridged+1)
	b, err := openBridge(func() (net.Conn, error) {
		near, far := net.Pipe()
		inside <- far
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.listener.Close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port()))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	conns := make([]net.Conn, maxBridged)
	for i := range conns {
		conns[i] = dial()
		defer receive(t, inside).Close()
	}
	if _, err := dial().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection too many: %v", err)
	}
	conns[0].Close()
	eventually(t, "the slot is free", func() bool { return len(b.slots) == maxBridged-1 })
	dial()
	receive(t, inside).Close()
	eventually(t, "a connection whose inside ends is over", func() bool { return len(b.slots) == maxBridged-1 })
}

func TestBridgeWithoutAServer(t *testing.T) {
	t.Parallel()
	b, err := openBridge(func() (net.Conn, error) { return nil, io.EOF })
	if err != nil {
		t.Fatal(err)
	}
	defer b.listener.Close()
	conn, err := net.Dial("tcp", b.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
