package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/nats-io/nats.go"
)

func TestAuthoritiesAreReadAsByX509(t *testing.T) {
	t.Parallel()
	one, two := certified(t, drafted("one", asCA), newKey(t), nil), certified(t, drafted("two", asCA), newKey(t), nil)
	headed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: two.Raw})
	for name, text := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("words"), "one": textOf(one), "two": textOf(one, two), "twice": textOf(one, one), "headers": headed,
		"damaged":      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Raw[1:]}),
		"a key before": bytes.Join([][]byte{pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), []byte("words"), textOf(two)}, nil),
	} {
		want := x509.NewCertPool()
		ok := want.AppendCertsFromPEM(text)
		got, also := loadAuthorities(text)
		if ok != also || !got.Equal(want) {
			t.Errorf("%s: %t, want %t; equal: %t", name, also, ok, got.Equal(want))
		}
	}
}

// TestAuthoritiesOfOldFilesAreLetGo makes sure that reloads leave nothing behind.
func TestAuthoritiesOfOldFilesAreLetGo(t *testing.T) {
	t.Parallel()
	key := func() weak.Pointer[x509.CertPool] {
		pool, _ := loadAuthorities(textOf(certified(t, drafted("root", asCA), newKey(t), nil)))
		return weak.Make(pool)
	}()
	eventually(t, "it is gone", func() bool {
		runtime.GC()
		_, there := authoritiesOf.Load(key)
		return !there
	})
}

// remembersOneChainEach looks into what the listeners for clients and leafnodes remember.
func (e *testEngine) remembersOneChainEach() {
	e.t.Helper()
	for _, name := range []string{"client", "websocket", "leafnode"} {
		v := (*e.doors.verified.Load())[name]
		v.mu.Lock()
		if n := len(v.chains.younger); n != 1 {
			e.t.Errorf("%s: %d chains are remembered", name, n)
		}
		v.mu.Unlock()
	}
}

// comers come to an engine that has certificates of a CA.
type comers struct {
	*testEngine
	ca *authority
}

func (c comers) login(listener string, certificate *tls.Certificate) *connecting {
	return c.connect(strings.Replace(c.url(listener), "ws:", "wss:", 1), nats.Secure(always(certificate, c.ca)))
}

// takes answers the question about a client, and returns it.
func (c comers) takes(client *connecting) frame {
	q := c.expect("question")
	c.send(allowing(q))
	client.in()
	return q
}

// areOfTheNextCA has somebody come whose CA is gone from the file, and somebody of the one that is there in its place.
func (c comers) areOfTheNextCA(known, foreign *tls.Certificate) {
	t := c.t
	for _, listener := range []string{"client", "websocket"} {
		former := c.login(listener, known)
		if former.wait(); former.err == nil {
			t.Error("the CA is gone, and its certificate is taken")
		}
		for range 2 {
			q := c.takes(c.login(listener, foreign))
			if q["tls"] != verifiedTLS || q["certificate"].(frame)["authority"].(frame)["subject"] != "CN=next authority" {
				t.Errorf("question %v", q)
			}
		}
	}
}

// TestCertificatesThatComeAgain goes through the listeners of an engine: what the broker is asked stays the same, and a
// reload that takes the CA away is the end of what is remembered.
func TestCertificatesThatComeAgain(t *testing.T) {
	t.Parallel()
	ca, next := newAuthority(t, "authority"), newAuthority(t, "next authority")
	ca.issue("server")
	known, foreign := ca.issue("peer.example"), next.issue("peer.example")
	config := tlsConfig(ca.tlsBlock(ca.caFile()))
	optional := frame{"optional_client_certificates": true}
	e := startEngine(t, config, optional)
	peers := comers{e, ca}
	for _, listener := range []string{"client", "websocket"} {
		for range 3 {
			q := peers.takes(peers.login(listener, &known))
			checkTLS(t, q, &known)
			if authority := q["certificate"].(frame)["authority"].(frame); authority["subject"] != "CN=authority" {
				t.Errorf("authority %v", authority)
			}
		}
		checkTLS(t, peers.takes(peers.login(listener, nil)), nil)
		if stranger := peers.login(listener, &foreign); true {
			if stranger.wait(); stranger.err == nil {
				t.Error("one of another CA is in")
			}
		}
	}
	for range 2 {
		leaf := startLeaf(t, e, always(&known, ca))
		q := e.expect("question")
		checkTLS(t, q, &known)
		e.send(allowing(q))
		eventually(t, "the leafnode is connected", func() bool { return e.srv.NumLeafNodes() == 1 })
		leaf.stop()
		eventually(t, "the leafnode is gone", func() bool { return e.srv.NumLeafNodes() == 0 })
	}
	e.remembersOneChainEach()
	if err := os.WriteFile(ca.path("ca.pem"), made(os.ReadFile(next.path("ca.pem"))), 0o600); err != nil {
		t.Fatal(err)
	}
	hello := validHello()
	hello["optional_client_certificates"] = true
	e.send(frame{"type": "reload", "id": 7, "hello": hello})
	if answer := e.expect("reloaded"); answer["problem"] != "" {
		t.Fatal(answer)
	}
	peers.areOfTheNextCA(&known, &foreign)
	e.expectNothing()
}
