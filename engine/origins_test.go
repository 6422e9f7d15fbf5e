package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// handshakeOf makes the request of a page; without an origin that of a program.
func handshakeOf(host string, secure bool, headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.TLS = host, nil
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func originsFor(t *testing.T, config *tls.Config, allowed ...string) *origins {
	t.Helper()
	o, err := newOrigins(brokerHello{WebsocketOrigins: allowed, WebsocketHosts: []string{"Broker.Example.net"}}, config)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOwnPagesAndProgramsAreLetIn(t *testing.T) {
	t.Parallel()
	o := originsFor(t, nil)
	for _, r := range []*http.Request{
		handshakeOf("broker.example.net:4333", true),
		handshakeOf("evil.example.net", false),
		handshakeOf("broker.example.net:4333", true, "Origin", "https://broker.example.net:4333"),
		handshakeOf("BROKER.example.net:4333", true, "Origin", "https://broker.example.net:4333"),
		handshakeOf("broker.example.net", true, "Origin", "https://broker.example.net"),
		handshakeOf("broker.example.net:443", true, "Origin", "https://broker.example.net"),
		handshakeOf("broker.example.net", true, "Origin", "https://broker.example.net:443"),
		handshakeOf("broker.example.net", false, "Origin", "http://broker.example.net:80"),
		handshakeOf("[2001:db8::1]:4333", true, "Origin", "https://[2001:db8::1]:4333"),
		handshakeOf("192.0.2.1:4333", false, "Origin", "http://192.0.2.1:4333"),
		handshakeOf("localhost:4333", false, "Origin", "http://localhost:4333"),
		handshakeOf("broker.example.net:4333", true, "Sec-WebSocket-Origin", "https://broker.example.net:4333"),
	} {
		if err := o.check(r); err != nil {
			t.Errorf("%s, %v: %v", r.Host, r.Header, err)
		}
	}
}

func TestWhatOnlyLooksAlikeIsForeign(t *testing.T) {
	t.Parallel()
	o := originsFor(t, nil, "https://console.example.net", "https://console.example.net:8443")
	for _, origin := range []string{
		"", " ", "null", "any", "https://", "https:broker.example.net:4333", "//broker.example.net:4333", "broker.example.net:4333",
		"https://broker.example.net:4333.evil.com", "https://broker.example.net.evil.com:4333", "https://evil-broker.example.net:4333",
		"https://example.net:4333", "https://a.broker.example.net:4333", "https://broker.example.net", "https://broker.example.net:443",
		"https://broker.example.net:4334", "https://broker.example.net:04333", "https://broker.example.net:+4333", "https://broker.example.net:",
		"https://broker.example.net:69869", "https://broker.example.net:4333:4333", "http://broker.example.net:4333",
		"HTTPS://broker.example.net:4333", "https://BROKER.example.net:4333", "https://broker.example.neT:4333", "https://CONSOLE.example.net", "wss://broker.example.net:4333", "ftp://broker.example.net:4333", "https://broker.example.net.:4333",
		"https://broker.example.net:4333/", "https://broker.example.net:4333/x", "https://broker.example.net:4333?x", "https://broker.example.net:4333#x",
		"https://u@broker.example.net:4333", "https://broker.example.net:4333@evil.com", "https://broker.example.net@evil.com:4333",
		"https://evil.com#@broker.example.net:4333", "https://evil.com\\@broker.example.net:4333", "https://broker.example.net:4333 https://evil.com",
		"https://evil.com https://broker.example.net:4333", "https://broker.example.net:4333,https://evil.com", " https://broker.example.net:4333",
		"https://broker.example.net:4333\t", "https://br\u043eker.example.net:4333", "https://xn--brker-kcg.example.net:4333", "https://broker%2eexample.net:4333",
		"https://[broker.example.net]:4333", "https://[::1]:4333", "https://[::1%25eth0]:4333", "https://*.example.net:4333", "https://broker..example.net:4333",
		"https://console.example.net:443x", "https://console.example.net:8444", "http://console.example.net", "https://console.example.net.",
		"https://console.example.net/", "https://xconsole.example.net", "file://", "chrome-extension://abc",
	} {
		err := o.check(handshakeOf("broker.example.net:4333", true, "Origin", origin))
		if err == nil {
			t.Errorf("%q is let in", origin)
		} else if !strings.HasPrefix(err.Error(), "origin not allowed: ") {
			t.Errorf("%q is refused with %q", origin, err)
		}
	}
	for _, origin := range []string{"https://console.example.net", "https://console.example.net:443", "https://console.example.net:8443"} {
		if err := o.check(handshakeOf("broker.example.net:4333", true, "Origin", origin)); err != nil {
			t.Error(err)
		}
	}
}

func TestSeveralOriginsAreForeign(t *testing.T) {
	t.Parallel()
	own := "https://broker.example.net:4333"
	for _, headers := range [][]string{
		{"Origin", own, "Origin", own}, {"Origin", own, "Origin", "https://evil.com"}, {"Origin", own, "Sec-WebSocket-Origin", "https://evil.com"},
	} {
		if originsFor(t, nil).check(handshakeOf("broker.example.net:4333", true, headers...)) == nil {
			t.Errorf("%v is let in", headers)
		}
	}
}

// With a name of his own that leads to this server, a stranger's page and the request agree.
func TestAStrangersNameForThisServerIsForeign(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	certificate := ca.issueFor("server", "ws.example.net", "*.ws.example.net")
	for name, c := range map[string]struct {
		host   string
		secure bool
		in     bool
	}{
		"another name":                 {"evil.example.com:4333", false, false},
		"another name over TLS":        {"evil.example.com:4333", true, false},
		"our name in another":          {"broker.example.net.evil.com", true, false},
		"a name of the certificate":    {"ws.example.net:4333", true, true},
		"a wildcard of it":             {"one.ws.example.net:4333", true, true},
		"more than the wildcard":       {"one.two.ws.example.net:4333", true, false},
		"an address in another way":    {"0x7f.1:4333", false, false},
		"an address as one number":     {"2130706433:4333", false, false},
		"a name that is told":          {"broker.example.net:4333", true, true},
		"a name with a dot at its end": {"broker.example.net.:4333", true, false},
	} {
		scheme := map[bool]string{false: "http://", true: "https://"}[c.secure]
		o := originsFor(t, &tls.Config{Certificates: []tls.Certificate{certificate}})
		if err := o.check(handshakeOf(c.host, c.secure, "Origin", scheme+c.host)); (err == nil) != c.in {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnyOrigin(t *testing.T) {
	t.Parallel()
	o := originsFor(t, nil, "any")
	for _, origin := range []string{"", "null", "https://evil.com"} {
		if err := o.check(handshakeOf("broker.example.net:4333", true, "Origin", origin, "Origin", origin)); err != nil {
			t.Error(err)
		}
	}
}

func TestAHelloWithABadOriginIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "https://a.example/", "*", "a.example"} {
		if _, err := prepareEngine(t, plainConfig, frame{"websocket_origins": []string{text}}); err == nil || !strings.Contains(err.Error(), "websocket_origins") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// upgraded opens a websocket by hand and returns it with the answer, whose body is what follows.
func upgraded(t *testing.T, e *testEngine, headers string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.ports["websocket"]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", e.ports["websocket"], headers)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, reader, answer
}

const plainWebsockets = plainConfig + `websocket { listen: "127.0.0.1:-1", no_tls: true, compression: false, handshake_timeout: "2s" }`

func TestTheListenerAsksForTheOrigin(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainWebsockets, nil)
	log := &logs{}
	e.srv.SetLoggerV2(log, false, false, false)
	for headers, status := range map[string]int{
		"": 101,
		fmt.Sprintf("Origin: http://127.0.0.1:%d\r\n", e.ports["websocket"]): 101,
		"Origin: https://evil.example/%s%d%n\r\n":                            403,
		"Origin: null\r\n": 403,
		"Sec-WebSocket-Extensions: permessage-deflate\r\n": 101,
		"Cookie: " + strings.Repeat("x", 1<<15) + "\r\n":   431,
	} {
		_, _, answer := upgraded(t, e, headers)
		if answer.StatusCode != status {
			t.Errorf("%.60q: status %d", headers, answer.StatusCode)
		}
		if extensions := answer.Header.Get("Sec-WebSocket-Extensions"); extensions != "" {
			t.Errorf("%.60q: %q is offered", headers, extensions)
		}
		if status != 101 && !answer.Close {
			t.Errorf("%.60q: another request may follow", headers)
		}
	}
	if want := `origin not allowed: "https://evil.example/%s%d%n" is foreign to`; !strings.Contains(log.String(), want) {
		t.Errorf("the log has %q", log.String())
	}
}

// websocketFrame reads a frame of the server; kind is its first byte, which is that of binary data for all that are long.
func websocketFrame(t *testing.T, reader io.Reader) (kind byte, body string) {
	t.Helper()
	read := func(size int) []byte {
		part := make([]byte, size)
		if _, err := io.ReadFull(reader, part); err != nil {
			t.Fatal(err)
		}
		return part
	}
	head := read(2)
	if head[1] == 126 {
		return 0x82, string(read(int(binary.BigEndian.Uint16(read(2)))))
	}
	return head[0], string(read(int(head[1])))
}

func TestPongsThatNobodyReadsAreNotKept(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainWebsockets, nil)
	conn, reader, _ := upgraded(t, e, "")
	say := func(kind byte, payload string) {
		frame := []byte{0x80 | kind, 0x80 | byte(len(payload)), 0, 0, 0, 0} // A mask of zeros.
		if len(payload) > 125 {
			frame = append(binary.BigEndian.AppendUint16([]byte{0x80 | kind, 0x80 | 126}, uint16(len(payload))), 0, 0, 0, 0)
		}
		if _, err := conn.Write(append(frame, payload...)); err != nil {
			t.Fatal(err)
		}
	}
	say(2, "CONNECT {}\r\n")
	e.send(allowing(e.expect("question")))
	ping := strings.Repeat("x", 125)
	const pings = 200_000
	many := strings.Repeat("\x89\xfd\x00\x00\x00\x00"+ping, 1000)
	for range pings / 1000 {
		if _, err := io.WriteString(conn, many); err != nil {
			t.Fatal(err)
		}
	}
	say(2, "PING\r\n")
	pongs := 0
	for {
		kind, body := websocketFrame(t, reader)
		if kind == 0x8a {
			pongs++
		}
		if strings.HasSuffix(body, "PONG\r\n") {
			break
		}
	}
	if pongs == 0 || pongs > pings*3/4 {
		t.Errorf("%d pongs for %d pings", pongs, pings)
	}
}
