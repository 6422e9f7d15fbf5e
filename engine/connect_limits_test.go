package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const leafnodeConfig = plainConfig + `leafnodes { listen: "127.0.0.1:-1" }`

// connectLine is a CONNECT as bytes, so that it can hold what no JSON library writes.
func connectLine(fields string) string { return `CONNECT {"verbose":false,` + fields + `}` }

// named is a field of a CONNECT.
func named(name, content string) string { return fmt.Sprintf(`"%s":"%s"`, name, content) }

// large are what clients and leafnodes say of themselves, and whether that is too much.
var large = map[string]struct {
	listener string
	fields   string
	refused  bool
}{
	"client, a long but possible token":    {"client", named("auth_token", strings.Repeat("x", 3900)), false},
	"client, less-than signs":              {"client", named("user", strings.Repeat("<", 3900)), false},
	"client, bytes that are no UTF-8":      {"client", named("user", strings.Repeat("\xff", 3000)), true},
	"client, no UTF-8 in several fields":   {"client", named("user", strings.Repeat("\xff", 900)) + "," + named("pass", strings.Repeat("\xff", 900)) + "," + named("name", strings.Repeat("\xff", 1000)), true},
	"leafnode, just below":                 {"leafnode", named("user", strings.Repeat("x", 2000)) + "," + named("pass", strings.Repeat("x", 2090)), false},
	"leafnode, just above":                 {"leafnode", named("user", strings.Repeat("x", 2000)) + "," + named("pass", strings.Repeat("x", 2097)), true},
	"leafnode, characters of four bytes":   {"leafnode", named("user", strings.Repeat("\U0001f600", 1025)), true},
	"leafnode, escapes that grow":          {"leafnode", named("name", strings.Repeat(`\u0001`, 700)), true},
	"leafnode, quotes":                     {"leafnode", named("name", strings.Repeat(`\"`, 2049)), true},
	"leafnode, line separators":            {"leafnode", named("name", strings.Repeat("\u2028", 700)), true},
	"leafnode, a token it is not asked of": {"leafnode", named("auth_token", strings.Repeat("x", 60_000)), true},
	"leafnode, signature":                  {"leafnode", named("sig", strings.Repeat("x", 60_000)), true},
	"leafnode, version":                    {"leafnode", named("version", strings.Repeat("x", 60_000)), true},
	"leafnode, lists":                      {"leafnode", `"import":{"allow":["` + strings.Repeat(`a","`, 10_000) + `z"]}`, true},
	"leafnode, what nobody reads":          {"leafnode", named("surprise", strings.Repeat("x", 60_000)), true},
	"leafnode, a field nobody knows":       {"leafnode", named("surprise", strings.Repeat("x", 4097)), true},
	"leafnode, fields nobody knows":        {"leafnode", `"a":{"b":["` + strings.Repeat("x", 2000) + `",{"c":"` + strings.Repeat("x", 2100) + `"}]}`, true},
	"leafnode, a name of a field":          {"leafnode", named(strings.Repeat("x", 4097), ""), true},
	"leafnode, the same field again":       {"leafnode", strings.Repeat(named("name", strings.Repeat("x", 1000))+",", 5) + `"echo":true`, true},
	"leafnode, domain, cluster and id":     {"leafnode", named("domain", strings.Repeat("x", 1400)) + "," + named("cluster", strings.Repeat("x", 1400)) + "," + named("server_id", strings.Repeat("x", 1400)), true},
	"leafnode, deny_pub":                   {"leafnode", `"deny_pub":["` + strings.Repeat(`abc","`, 1400) + `z"]`, true},
	"leafnode, nonce and compression":      {"leafnode", named("nonce", strings.Repeat("x", 3000)) + "," + named("compression", strings.Repeat("x", 1200)), true},
	"leafnode, texts of signs to escape":   {"leafnode", named("domain", strings.Repeat(`\u003e`, 1000)), false},
	"leafnode, numbers":                    {"leafnode", `"x":[` + strings.Repeat("1,", 3000) + `1]`, false},
	"leafnode, many numbers":               {"leafnode", `"x":[` + strings.Repeat("1,", 5000) + `1]`, true},
	"leafnode, blanks":                     {"leafnode", `"x":` + strings.Repeat(" ", 9000) + `1`, true},
	"leafnode, a deny list as it may be":   {"leafnode", `"deny_pub":["` + strings.Repeat(`choria.lifecycle.\u003e","`, 200) + `z"],` + named("user", "u"), false},
}

func TestConnectThatIsTooLargeIsRefusedUnasked(t *testing.T) {
	t.Parallel()
	e := startEngine(t, leafnodeConfig, nil)
	for name, c := range large {
		raw := dialRaw(t, e.ports[c.listener])
		raw.say(connectLine(c.fields))
		if c.refused {
			refusal := e.expectRefusal(causeTooLarge, 0.0)
			if refusal["address"] != "127.0.0.1" || refusal["connection_id"] == 0.0 {
				t.Errorf("%s: got %v", name, refusal)
			}
		} else {
			e.send(allowing(e.expect("question"), frame{"allow": false}))
		}
		if got := raw.line(); got != "-ERR 'Authorization Violation'" {
			t.Errorf("%s: the peer was told %q", name, got)
		}
	}
	e.expectNothing()
	// What was refused takes up no room on the library's pages either.
	eventually(t, "all are closed", func() bool {
		connz, err := e.srv.Connz(&server.ConnzOptions{State: server.ConnClosed, Username: true, Limit: 100})
		if err != nil || len(connz.Conns) < 15 {
			return false
		}
		for _, conn := range connz.Conns {
			if len(conn.AuthorizedUser)+len(conn.Name)+len(conn.Version)+len(conn.Lang) > mostFields {
				t.Errorf("the library keeps %d bytes of a refused connection", len(conn.AuthorizedUser)+len(conn.Name)+len(conn.Version))
			}
		}
		return true
	})
}

// TestLinesAreShortBeforeLogin sends beginnings of lines, since what was read of them takes up memory.
func TestLinesAreShortBeforeLogin(t *testing.T) {
	t.Parallel()
	config := leafnodeConfig + `
		cluster { name: A, listen: "127.0.0.1:-1", pool_size: -1, routes: [ "nats://127.0.0.1:1" ] }
		gateway { name: A, listen: "127.0.0.1:-1", gateways: [ { name: B, urls: [ "nats://127.0.0.1:1" ] } ] }`
	e := startEngine(t, config, nil)
	for _, listener := range []string{"leafnode", "cluster", "gateway"} {
		raw := dialRaw(t, e.ports[listener])
		io.WriteString(raw, `CONNECT {"name":"`+strings.Repeat("x", lineBeforeLogin))
		if refusal := e.expectRefusal(causeTooLarge, 0.0); refusal["address"] != "127.0.0.1" || refusal["connection_id"] == 0.0 {
			t.Errorf("%s: got %v", listener, refusal)
		}
		if got := raw.line(); got != "-ERR 'Authorization Violation'" {
			t.Errorf("%s: the peer was told %q", listener, got)
		}
	}
	// Afterwards lines are as long as ever, at once too.
	leafnode := dialRaw(t, e.ports["leafnode"])
	long := "LS+ " + strings.Repeat("x", lineBeforeLogin+1)
	leafnode.say(connectLine(`"user":"u"`) + "\r\n" + long)
	e.send(allowing(e.expect("question")))
	leafnode.say(long + "y")
	if !leafnode.settled() {
		t.Error("a long line after the login ended the connection")
	}
}

func TestLinesInOperatorModeHaveRoomForTokens(t *testing.T) {
	if got := lineBefore(brokerHello{Authentication: byOperator}); got < 2*lineBeforeLogin {
		t.Errorf("lines of %d bytes", got)
	}
}

func TestTextsAreCounted(t *testing.T) {
	long := strings.Repeat("k", longestKey+1)
	for document, want := range map[string]int{
		``: 0, `{}`: 0, `{"a":1}`: 0, `{"a":"bc"}`: 2, `{"a" : "bc"}`: 2, `["a","b"]`: 2, `{"a":{"b":["c",{"d":"ef"}]}}`: 3,
		`{"` + long + `":1}`: len(long), `{"` + long + `":"x"}`: len(long) + 1, `{"a":"\"\\\n"}`: 3, `{"a":"\u003e\u00e9\u20ac"}`: 6,
		`{"a":"\ud83d\ude00"}`: 4, `{"a":"\u00`: 3, `{"a":"\`: 1, `{"a":"\uzzzz"}`: 4, `"abc`: 3, `"`: 0, "{\"a\":\"\xff\xfe\"}": 2,
	} {
		if got := textsIn([]byte(document)); got != want {
			t.Errorf("%s: counted %d, want %d", document, got, want)
		}
	}
}

func FuzzTextsAreCounted(f *testing.F) {
	f.Add("a", "b\"c")
	f.Fuzz(func(t *testing.T, one, other string) {
		document, _ := json.Marshal(map[string]any{"x": []string{one}, "y": other})
		var back struct {
			X []string
			Y string
		}
		if err := json.Unmarshal(document, &back); err != nil {
			t.Fatal(err)
		}
		if got, want := textsIn(document), len(back.X[0])+len(back.Y); got != want {
			t.Errorf("%s: counted %d, want %d", document, got, want)
		}
	})
}

func TestFrameIsBoundedByTheBoundOfConnect(t *testing.T) {
	for name, text := range map[string]string{
		"letters": strings.Repeat("x", 100), "less-than": strings.Repeat("<>&", 100), "controls": strings.Repeat("\x01\x1f", 50),
		"short escapes": strings.Repeat("\b\f\n\r\t\"\\", 20), "separators": strings.Repeat("\u2028\u2029", 20),
		"delete": strings.Repeat("\x7f", 20), "emoji": strings.Repeat("\U0001f600é", 20), "replacement": "\ufffd", "no UTF-8": "a\xffb\xc3",
	} {
		frame, err := encodeFrame(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, least := encodedLen(text), len(frame)-4-2; got < least || utf8.ValidString(text) && name != "replacement" && got != least {
			t.Errorf("%s: counted %d bytes, it takes %d", name, got, least)
		}
	}
}

func TestTokenOfALeafnodeIsNotSent(t *testing.T) {
	t.Parallel()
	e := startEngine(t, leafnodeConfig, nil)
	raw := dialRaw(t, e.ports["leafnode"])
	raw.say(connectLine(`"auth_token":"a-token","sig":"a-signature","user":"u","pass":"p"`))
	q := e.expect("question")
	if q["token_unread"] != true || q["token"] != nil || q["signature"] != nil || q["user"] != "u" || q["password"] != "p" {
		t.Errorf("got %v", q)
	}
	raw = dialRaw(t, e.ports["leafnode"])
	raw.say(connectLine(`"user":"u"`))
	if q := e.expect("question"); q["token_unread"] != nil {
		t.Errorf("got %v", q)
	}
}

// TestLongTextsOfCertificatesAreCut has a known authority sign what no authority should.
func TestLongTextsOfCertificatesAreCut(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	block := ca.tlsBlock(ca.caFile())
	e := startEngine(t, tlsConfig(block), frame{"optional_client_certificates": true})

	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("%d.%s.example", i, strings.Repeat("x", 30)))
	}
	huge := ca.issueLike("huge", func(template *x509.Certificate) {
		template.Subject = pkix.Name{CommonName: strings.Repeat("é", 4000), OrganizationalUnit: names[:100]}
		template.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 150)
		template.DNSNames = names
	})
	client := e.connect(strings.Replace(e.url("client"), "nats:", "tls:", 1), nats.Secure(always(&huge, ca)))
	q := e.expect("question")
	e.send(allowing(q))
	client.in()
	told := q["certificate"].(map[string]any)
	if name := told["common_name"].(string); len(name) > mostOfCertificate || !strings.HasPrefix(name, "éé") || !utf8.ValidString(name) {
		t.Errorf("the name is told with %d bytes: %q", len(name), name)
	}
	if text, _ := json.Marshal(q); len(text) > 2000 {
		t.Errorf("the question has %d bytes", len(text))
	}
}

// issueLike makes a certificate that differs from the usual ones.
func (a *authority) issueLike(name string, change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	return a.sign(template, key)
}
