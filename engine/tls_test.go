package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// tlsBlock is a block of the configuration file for certificate "server" of the authority.
func (a *authority) tlsBlock(more string) string {
	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, %s }", a.path("server.pem"), a.path("server.key"), more)
}

func (a *authority) caFile() string { return fmt.Sprintf("ca_file: %q", a.path("ca.pem")) }

// tlsConfig has a client, websocket and leafnode listener, each with the block.
func tlsConfig(block string) string {
	return plainConfig + block + fmt.Sprintf(`
		websocket { listen: "127.0.0.1:-1", %s }
		leafnodes { listen: "127.0.0.1:-1", %s }
		`, block, block)
}

// certificates are what a peer can show: none, or one of a known or a foreign authority.
func certificates(t *testing.T, ca *authority) map[string]*tls.Certificate {
	known, foreign := ca.issue("peer.example"), newAuthority(t, "foreign").issue("peer.example")
	return map[string]*tls.Certificate{"none": nil, "known": &known, "foreign": &foreign}
}

// always sends the certificate, where Go would keep back one of an authority the server did not name.
func always(certificate *tls.Certificate, ca *authority) *tls.Config {
	config := &tls.Config{RootCAs: ca.pool}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return config
}

func checkTLS(t *testing.T, q frame, certificate *tls.Certificate) {
	t.Helper()
	if certificate == nil {
		if q["tls"] != "anon" || q["certificate"] != nil {
			t.Errorf("without a certificate: tls %v, certificate %v", q["tls"], q["certificate"])
		}
		return
	}
	if q["tls"] != "mtls" {
		t.Errorf("with a certificate: tls %v", q["tls"])
	}
	sum := sha256.Sum256(certificate.Certificate[0])
	got, _ := q["certificate"].(map[string]any)
	for field, want := range (frame{
		"common_name": "peer.example", "serial": "abc123", "issuer": "CN=authority", "fingerprint": hex.EncodeToString(sum[:]),
	}) {
		if got[field] != want {
			t.Errorf("certificate field %s is %v, want %v", field, got[field], want)
		}
	}
}

func TestOptionalCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	for mode, block := range map[string]string{
		"plain": ca.tlsBlock(ca.caFile()), "verify": ca.tlsBlock(ca.caFile() + ", verify: true"),
	} {
		e := startEngine(t, tlsConfig(block), frame{"optional_client_certificates": true})
		for peer, certificate := range certificates(t, ca) {
			for _, listener := range []string{"client", "websocket"} {
				t.Run(strings.Join([]string{mode, listener, peer}, " "), func(t *testing.T) {
					checkClient(t, e, listener, ca, certificate, peer == "foreign")
				})
			}
			t.Run(mode+" leafnode "+peer, func(t *testing.T) { checkLeafnode(t, e, ca, certificate, peer == "foreign") })
		}
	}
}

func checkClient(t *testing.T, e *testEngine, listener string, ca *authority, certificate *tls.Certificate, foreign bool) {
	address := e.url(listener)
	if listener == "websocket" {
		address = strings.Replace(address, "ws:", "wss:", 1)
	}
	client := e.connect(address, nats.Secure(always(certificate, ca)))
	if foreign {
		client.wait()
		if client.err == nil {
			t.Error("a certificate of a foreign authority was taken")
		}
		e.expectNothing()
		return
	}
	admit(t, e, "client", certificate)
	client.in().Close()
}

// admit answers the question about a connection after a look at what it says of TLS.
func admit(t *testing.T, e *testEngine, kind string, certificate *tls.Certificate) {
	t.Helper()
	q := e.expect("question")
	if q["kind"] != kind || q["nonce"] == "" {
		t.Errorf("got question %v", q)
	}
	checkTLS(t, q, certificate)
	e.send(allowing(q))
}

func checkLeafnode(t *testing.T, e *testEngine, ca *authority, certificate *tls.Certificate, foreign bool) {
	leaf := startLeaf(t, e, always(certificate, ca))
	if foreign {
		leaf.expectLog("Leafnode connection closed")
		if n := e.srv.NumLeafNodes(); n != 0 {
			t.Errorf("%d leafnodes are connected", n)
		}
		e.expectNothing()
		leaf.stop()
		return
	}
	admit(t, e, "leafnode", certificate)
	eventually(t, "the leafnode is connected", func() bool { return e.srv.NumLeafNodes() == 1 })
	leaf.stop()
	eventually(t, "the leafnode is gone", func() bool { return e.srv.NumLeafNodes() == 0 })
}

// leaf is a server that connects to the engine as a leafnode.
type leaf struct {
	t   *testing.T
	srv *server.Server
	*logs
}

func startLeaf(t *testing.T, e *testEngine, config *tls.Config) *leaf {
	t.Helper()
	scheme := map[bool]string{true: "tls", false: "nats"}[config != nil]
	remote, err := url.Parse(fmt.Sprintf("%s://127.0.0.1:%d", scheme, e.ports["leafnode"]))
	if err != nil {
		t.Fatal(err)
	}
	opts := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, ServerName: "leaf"}
	opts.LeafNode.ReconnectInterval = time.Hour // One attempt.
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}, TLSConfig: config, TLS: config != nil}}
	l := &leaf{t: t, logs: &logs{}}
	if l.srv, err = server.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	l.srv.SetLoggerV2(l.logs, true, false, false)
	l.srv.Start()
	t.Cleanup(l.stop)
	return l
}

func (l *leaf) stop() {
	l.srv.Shutdown()
	l.srv.WaitForShutdown()
}

func (l *leaf) expectLog(text string) {
	l.t.Helper()
	eventually(l.t, "the leaf logs "+text, func() bool { return strings.Contains(l.String(), text) })
}

func TestLeafnodePermissionsAndRefusal(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+`leafnodes { listen: "127.0.0.1:-1" }`, nil)
	refused := startLeaf(t, e, nil)
	q := e.expect("question")
	if q["tls"] != "none" || q["address"] != "127.0.0.1" {
		t.Errorf("got question %v", q)
	}
	e.send(allowing(q, frame{"account": "nobody"}))
	e.expectRefusal(causeUnknownAccount, q["id"])
	refused.expectLog("Authorization Violation")
	refused.stop()

	leaf := startLeaf(t, e, nil)
	e.send(allowing(e.expect("question"), frame{"permissions": limits(frame{"publish.allow": []string{"a"}, "subscribe.deny": []string{"b"}})}))
	eventually(t, "the leafnode is connected", func() bool { return e.srv.NumLeafNodes() == 1 })
	hub, _ := admitted(e, nil)
	spoke, err := nats.Connect(leaf.srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer spoke.Close()
	sub, err := hub.SubscribeSync(">")
	if err != nil || hub.Flush() != nil {
		t.Fatal(err)
	}
	// The subscription of the hub reaches the spoke in its own time; "b" is sent first and must not come.
	eventually(t, "a message of the leafnode arrives", func() bool {
		if spoke.Publish("b", nil) != nil || spoke.Publish("a", nil) != nil || spoke.Flush() != nil {
			return false
		}
		msg, err := sub.NextMsg(10 * time.Millisecond)
		if err == nil && msg.Subject != "a" {
			t.Fatalf("the leafnode published to %s", msg.Subject)
		}
		return err == nil
	})
}

func TestCertificatesAsTheFileSays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	known := ca.issue("peer.example")
	t.Run("not asked for", func(t *testing.T) {
		e := startEngine(t, tlsConfig(ca.tlsBlock(ca.caFile())), nil)
		client := e.connect(e.url("client"), nats.Secure(always(&known, ca)))
		q := e.expect("question")
		checkTLS(t, q, nil)
		e.send(allowing(q))
		client.in()
	})
	t.Run("demanded", func(t *testing.T) {
		e := startEngine(t, tlsConfig(ca.tlsBlock(ca.caFile()+", verify: true")), nil)
		client := e.connect(e.url("client"), nats.Secure(always(nil, ca)))
		client.wait()
		if client.err == nil {
			t.Error("a client without a certificate got in")
		}
		e.expectNothing()
		client = e.connect(e.url("client"), nats.Secure(always(&known, ca)))
		q := e.expect("question")
		checkTLS(t, q, &known)
		e.send(allowing(q))
		client.in()
	})
}

func TestOptionalCertificatesNeedAnAuthority(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	with, without := ca.tlsBlock(ca.caFile()), ca.tlsBlock("")
	for block, config := range map[string]string{
		"'tls'":           plainConfig + without,
		"'websocket.tls'": plainConfig + with + fmt.Sprintf("\nwebsocket { listen: \"127.0.0.1:-1\", %s }", without),
		"'leafnodes.tls'": plainConfig + with + fmt.Sprintf("\nleafnodes { listen: \"127.0.0.1:-1\", %s }", without),
	} {
		_, err := prepareEngine(t, config, frame{"optional_client_certificates": true})
		if err == nil || !strings.Contains(err.Error(), block) || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("%s: got error %v", block, err)
		}
		if _, err := prepareEngine(t, config, nil); err != nil {
			t.Errorf("%s: refused without optional certificates: %v", block, err)
		}
	}
	if _, err := prepareEngine(t, plainConfig, frame{"optional_client_certificates": true}); err != nil {
		t.Errorf("refused without any TLS: %v", err)
	}
}

func TestTLSHandshakeFirst(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	e := startEngine(t, plainConfig+ca.tlsBlock(ca.caFile()+", handshake_first: true"), frame{"optional_client_certificates": true})
	known := ca.issue("peer.example")
	client := e.connect(e.url("client"), nats.Secure(always(&known, ca)), nats.TLSHandshakeFirst())
	q := e.expect("question")
	checkTLS(t, q, &known)
	e.send(allowing(q))
	client.in()
	// The bridge stays plain: the library lets in-process connections choose.
	client = e.connect(e.url("bridge"), nats.Token(testSecret))
	q = e.expect("question")
	if q["kind"] != "in_process" || q["tls"] != "none" {
		t.Errorf("got question %v", q)
	}
	e.send(allowing(q))
	client.in()
}

// TestTheWholeChainIsTold has a client present a certificate that an intermediate signed.
func TestTheWholeChainIsTold(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	between := *ca
	link := func(name string, serial int64) {
		key := newKey(t)
		made := between.sign(&x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, key)
		between.cert, between.key = made.Leaf, key
	}
	e := startEngine(t, tlsConfig(ca.tlsBlock(ca.caFile())), frame{"optional_client_certificates": true})
	var presented [][]byte
	for length := range mostIntermediates + 1 {
		link(fmt.Sprint("link ", length), int64(0x20+length))
		presented = append([][]byte{between.cert.Raw}, presented...)
		if length != 1 && length != mostIntermediates {
			continue
		}
		leaf := between.issueLike("peer.example", func(*x509.Certificate) {})
		leaf.Certificate = append(leaf.Certificate, presented...)
		client := e.connect(strings.Replace(e.url("client"), "nats:", "tls:", 1), nats.Secure(always(&leaf, ca)))
		if length == mostIntermediates {
			client.refused()
			e.expectRefusal(causeTooLarge, 0.0)
			continue
		}
		q := e.answerNext()
		client.in()
		told := q["certificate"].(frame)
		second := told["intermediates"].([]any)[1].(frame)
		want := []any{
			frame{"serial": "21", "issuer": "CN=link 0", "fingerprint": fingerprintOf(between.cert), "key": keyOf(between.cert)},
			frame{"serial": "20", "issuer": "CN=authority", "fingerprint": second["fingerprint"], "key": second["key"]},
		}
		if fmt.Sprint(told["intermediates"]) != fmt.Sprint(want) || told["not_after"] != float64(leaf.Leaf.NotAfter.Unix()) {
			t.Errorf("%v", told)
		}
		if fmt.Sprint(told["authority"]) != fmt.Sprint(frame{"subject": "CN=authority", "fingerprint": fingerprintOf(ca.cert), "key": keyOf(ca.cert)}) {
			t.Errorf("%v", told["authority"])
		}
	}
}
