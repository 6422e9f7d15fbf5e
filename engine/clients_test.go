package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// connecting dials in the background, since a client waits for a verdict that the test has yet to give.
type connecting struct {
	t    testing.TB
	done chan struct{}
	conn *nats.Conn
	err  error
}

// privateSocket listens as the broker does for its own connections.
func privateSocket(t testing.TB) (private, net.Listener) {
	t.Helper()
	folder, err := os.MkdirTemp("", "engine") // That of the test may be too long for a socket.
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "bridge")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); os.RemoveAll(folder) })
	return private(path), listener
}

// bridged is where url leads for the bridge, which has no address.
const bridged = "nats://bridge"

// private is the path of a Unix socket, in the form in which clients take one.
type private string

func (p private) InProcessConn() (net.Conn, error) { return net.Dial("unix", string(p)) }

func (c *connecting) wait() {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatal("the client neither got in nor was refused")
	}
}

func (c *connecting) in() *nats.Conn {
	c.t.Helper()
	c.wait()
	if c.err != nil {
		c.t.Fatalf("the client was refused: %v", c.err)
	}
	c.t.Cleanup(c.conn.Close)
	return c.conn
}

// refused wants the one error a refused client may see.
func (c *connecting) refused() {
	c.t.Helper()
	c.wait()
	if c.err == nil {
		c.conn.Close()
		c.t.Fatal("the client was let in")
	}
	// A refusal can be quicker than the client's own writes, which then fail before it reads what it is told.
	if errors.Is(c.err, syscall.EPIPE) || errors.Is(c.err, syscall.ECONNRESET) {
		return
	}
	if c.err.Error() != "nats: Authorization Violation" {
		c.t.Fatalf("the client was refused with %q", c.err)
	}
}

// rawClient speaks the client protocol by hand.
type rawClient struct {
	t testing.TB
	net.Conn
	reader *bufio.Reader
	info   frame
}

func dialRaw(t testing.TB, port int) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	r := &rawClient{t: t, Conn: conn, reader: bufio.NewReader(conn)}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(r.line(), "INFO ")), &r.info); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rawClient) say(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r, text+"\r\n"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rawClient) line() string {
	r.t.Helper()
	line, err := r.reader.ReadString('\n')
	if err != nil {
		r.t.Fatalf("reading from the server: %v (after %q)", err, line)
	}
	return strings.TrimSpace(line)
}
