package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// standings asks an engine on which CA its connections are, and returns counts by kind and name of the CA.
func standings(e *answering) map[string]int {
	e.t.Helper()
	e.send(frame{"type": "authorities", "id": 5})
	for {
		select {
		case f := <-e.others:
			if f["type"] != "authorities" {
				continue
			}
			found := map[string]int{}
			for _, each := range f["counts"].([]any) {
				row := each.(map[string]any)
				name, _ := row["subject"].(string)
				if (name == "") != (row["tls"] != "mtls") || (name == "") != (row["fingerprint"] == nil) || (name == "") != (row["expires"] == nil) {
					e.t.Fatalf("a count of %v", row)
				}
				found[fmt.Sprintf("%s %s", row["kind"], strings.TrimPrefix(name, "CN="))] = int(row["count"].(float64))
			}
			return found
		case <-time.After(patience):
			e.t.Fatal("no answer")
		}
	}
}

// trustEachOther has each CA file hold both, and who connects with the certificates of one accept the other.
func trustEachOther(t *testing.T, one, other *authority) {
	t.Helper()
	both := append(made(os.ReadFile(one.path("ca.pem"))), made(os.ReadFile(other.path("ca.pem")))...)
	for _, each := range []*authority{one, other} {
		each.pool.AddCert(one.cert)
		each.pool.AddCert(other.cert)
		if err := os.WriteFile(each.path("ca.pem"), both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// clustered wants a name, a cluster, its TLS and its routes, and whatever else there is.
const clustered = `listen: "127.0.0.1:-1"
	server_name: %s
	accounts { choria {}, system {} }
	system_account: system
	cluster { name: %s, listen: "127.0.0.1:-1", pool_size: -1, tls { %s, verify: true }, routes [ %s ] }
	%s`

// TestAuthoritiesAreCounted has every kind of connection on one CA or another, and some on none.
func TestAuthoritiesAreCounted(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	old.issue("server")
	next.issue("server")
	trustEachOther(t, old, next)
	files := func(a *authority) string {
		return fmt.Sprintf("cert_file: %q, key_file: %q, %s", a.path("server.pem"), a.path("server.key"), a.caFile())
	}
	linked := func(name, cluster, more, routes string, a *authority) string {
		return fmt.Sprintf(clustered, name, cluster, files(a), routes, more)
	}
	optional := frame{"optional_client_certificates": true}
	peer := startEngine(t, linked("peer", "A", "", "", next), nil)
	hub := answerAll(startEngine(t, linked("hub", "B", "leafnodes { listen: \"127.0.0.1:-1\", tls { "+files(old)+" } }", "", old), optional))
	config := linked("test", "A", fmt.Sprintf(`tls { FILES }
		websocket { listen: "127.0.0.1:-1", tls { FILES } }
		leafnodes { listen: "127.0.0.1:-1", tls { FILES }, remotes [ { urls: [ "tls://127.0.0.1:%d" ], account: choria, tls { FILES } } ] }`, hub.ports["leafnode"]),
		fmt.Sprintf("\"nats://127.0.0.1:%d\"", peer.ports["cluster"]), old)
	e := answerAll(startEngine(t, strings.ReplaceAll(config, "FILES", files(old)), optional))

	connect := func(listener string, certificate *tls.Certificate) *nats.Conn {
		address := strings.Replace(e.url(listener), "ws:", "wss:", 1)
		return e.connect(address, nats.Secure(always(certificate, old))).in()
	}
	first, second := old.issue("client"), next.issue("client")
	leaves := connect("client", &first)
	connect("client", &first)
	connect("client", &second)
	connect("client", nil)
	connect("websocket", &second)
	startLeaf(t, e.testEngine, always(&first, old))
	want := map[string]int{
		"client old": 2, "client next": 1, "client ": 1, "websocket next": 1, "leafnode old": 1, "to_cluster next": 1, "to_leafnode old": 1,
	}
	eventually(t, "all are in", func() bool { return reflect.DeepEqual(standings(e), want) })
	if got := standings(hub); got["leafnode old"] != 1 {
		t.Errorf("the hub has %v", got)
	}

	// Who is in stays when the CA is gone, and is counted on it.
	if err := os.WriteFile(old.path("ca.pem"), made(os.ReadFile(next.path("ca.pem"))), 0o600); err != nil {
		t.Fatal(err)
	}
	e.reloads(strings.ReplaceAll(config, "FILES", files(old)), "", optional)
	leaves.Close()
	want["client old"] = 1
	eventually(t, "one is out", func() bool { return reflect.DeepEqual(standings(e), want) })
}

// TestAuthorityOfSeveralChains takes the one that lasts.
func TestAuthorityOfSeveralChains(t *testing.T) {
	t.Parallel()
	ending := func(hours int) []*x509.Certificate {
		return []*x509.Certificate{{}, {NotAfter: time.Now().Add(time.Duration(hours) * time.Hour), Raw: []byte{byte(hours)}}}
	}
	state := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{ending(1), ending(3), ending(2)}}
	want := sha256.Sum256([]byte{3})
	if got := standingOf(state); got.Fingerprint != hex.EncodeToString(want[:]) {
		t.Errorf("got %v", got)
	}
	state.PeerCertificates = []*x509.Certificate{{SerialNumber: big.NewInt(1)}}
	if _, got := describeTLS(state); got.Authority.Fingerprint != hex.EncodeToString(want[:]) {
		t.Errorf("a question has %v", got.Authority)
	}
	if got := chainOf(&tls.ConnectionState{}); got != nil {
		t.Errorf("got %v", got)
	}
}
