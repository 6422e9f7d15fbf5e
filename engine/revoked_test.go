package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// numbered issues a certificate with a serial number, without files.
func (a *authority) numbered(name string, serial int64) tls.Certificate {
	return a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, newKey(a.t))
}

func writeRevoked(t testing.TB, path string, document frame) string {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRevokedChains(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "authority"), newAuthority(t, "authority")
	leaf := ca.numbered("Peer.Example", 0x4f).Leaf
	chain := []*x509.Certificate{leaf, ca.cert}
	stranger := []*x509.Certificate{other.numbered("Peer.Example", 0x4f).Leaf, other.cert}
	now := float64(time.Now().Unix())
	list := func(next float64, serials ...string) frame {
		return frame{keyOf(ca.cert): frame{"next_update": next, "serials": append([]string{}, serials...)}}
	}
	for name, c := range map[string]struct {
		document            frame
		refused, namesakeIs bool
	}{
		"nothing":               {frame{}, false, false},
		"list":                  {frame{"lists": list(0, "4f")}, true, false},
		"list of others":        {frame{"lists": list(0, "50", "4")}, false, false},
		"list that is over":     {frame{"lists": list(now - 1)}, false, false},
		"over and that refuses": {frame{"lists": list(now - 1), "refuse_overdue": true}, true, false},
		"in time":               {frame{"lists": list(now + 99), "refuse_overdue": true}, false, false},
		"without an end":        {frame{"lists": list(0), "refuse_overdue": true}, false, false},
		"anchor":                {frame{"anchors": []string{fingerprintOf(ca.cert)}}, true, false},
		"entry":                 {frame{"entries": []frame{{"serial": "4f", "leaf": true}}}, true, true},
		"entry of the CA":       {frame{"entries": []frame{{"serial": "4f", "keys": []string{keyOf(ca.cert)}}}}, true, false},
		"entry of a CA above":   {frame{"entries": []frame{{"serial": "1", "fingerprints": []string{fingerprintOf(ca.cert)}}}}, true, false},
		"entry of nobody":       {frame{"entries": []frame{{"serial": "4f", "any": true}}}, true, true},
		"entry that is over":    {frame{"entries": []frame{{"serial": "4f", "leaf": true, "until": now - 1}}}, false, false},
		"entry that is not":     {frame{"entries": []frame{{"serial": "4f", "leaf": true, "until": now + 99}}}, true, true},
		"number of the CA":      {frame{"entries": []frame{{"serial": "1", "leaf": true}}}, false, false},
		"identity":              {frame{"entries": []frame{{"name": "peer.example"}}}, true, true},
		"another identity":      {frame{"entries": []frame{{"name": "peer"}}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := readRevoked(writeRevoked(t, filepath.Join(t.TempDir(), "revoked"), c.document))
			if err != nil {
				t.Fatal(err)
			}
			if err := set.refusal(chain, now); (err != nil) != c.refused {
				t.Errorf("refused: %v", err)
			}
			if err := set.revocation(chain, now); (err != nil) != (c.refused && name != "over and that refuses") {
				t.Errorf("who is in is revoked: %v", err)
			}
			if err := set.refusal(stranger, now); (err != nil) != c.namesakeIs {
				t.Errorf("the same number of another CA with the same name, refused: %v", err)
			}
		})
	}
}

func TestRevokedFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "none"), "no JSON": writeFile(t, "revoked", "{"),
		"types": writeFile(t, "revoked", `{"lists": 1}`), "empty": writeFile(t, "revoked", ""),
	} {
		if _, err := readRevoked(file); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if _, err := prepareEngine(t, plainConfig, frame{"revoked": file}); err == nil {
			t.Errorf("%s: the engine would start", name)
		}
	}
}

func TestNoTicketsWhereCertificatesAreAskedFor(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	for _, c := range []struct {
		block    string
		optional bool
		tickets  bool
	}{
		{ca.tlsBlock(ca.caFile()), true, false}, {ca.tlsBlock(ca.caFile() + ", verify: true"), false, false}, {ca.tlsBlock(""), false, true},
	} {
		e := startEngine(t, tlsConfig(c.block), frame{"optional_client_certificates": c.optional})
		for name, listener := range map[string]*tls.Config{"client": e.opts.TLSConfig, "websocket": e.opts.Websocket.TLSConfig, "leafnode": e.opts.LeafNode.TLSConfig} {
			if listener.SessionTicketsDisabled == c.tickets {
				t.Errorf("%s with %s: tickets %v", name, c.block, !listener.SessionTicketsDisabled)
			}
		}
		if e.opts.TLSConfig.VerifyConnection != nil {
			t.Error("the broker is asked about clients, and they are refused before")
		}
	}
}

func TestRevokedRoutes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	file := filepath.Join(t.TempDir(), "revoked")
	nobody := frame{}
	cluster := func(name, more string) string {
		block := ca.tlsBlock(ca.caFile() + ", verify: true")
		return fmt.Sprintf("listen: \"127.0.0.1:-1\"\nserver_name: %s\naccounts { choria {}, system {} }\nsystem_account: system\ncluster { name: c, listen: \"127.0.0.1:-1\", no_advertise: true, pool_size: -1, %s, %s }", name, block, more)
	}
	hub := startEngine(t, cluster("hub", ""), frame{"revoked": writeRevoked(t, file, nobody)})
	other := startEngine(t, cluster("other", fmt.Sprintf("routes: [\"nats://127.0.0.1:%d\"]", hub.ports["cluster"])), nil)
	eventually(t, "a route", func() bool { return hub.srv.NumRoutes() > 0 && other.srv.NumRoutes() > 0 })

	take := func(id int, document frame) frame {
		writeRevoked(t, file, document)
		hub.send(frame{"type": "revoked", "id": id, "revoked": file})
		return hub.expectAfterLosses("reloaded")
	}
	nobody["lists"] = frame{keyOf(ca.cert): frame{"serials": []string{"abc123"}}}
	if answer := take(1, nobody); answer["problem"] != "" || answer["id"] != 1.0 {
		t.Fatal(answer)
	}
	eventually(t, "no route", func() bool { return hub.srv.NumRoutes() == 0 })
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	hub.send(frame{"type": "revoked", "id": 2, "revoked": file})
	if answer := hub.expectAfterLosses("reloaded"); answer["problem"] == "" {
		t.Fatal("a file that cannot be read was taken")
	}
	if hub.srv.NumRoutes() != 0 {
		t.Fatal("a file that cannot be read let the route in")
	}
	delete(nobody, "lists")
	if answer := take(3, nobody); answer["problem"] != "" {
		t.Fatal(answer)
	}
	eventually(t, "a route again", func() bool { return hub.srv.NumRoutes() > 0 })
}

// In operator mode nobody is asked, so the engine looks at the certificates of clients by itself.
func TestRevokedClientsOfAnOperator(t *testing.T) {
	t.Parallel()
	ca, o := newAuthority(t, "authority"), newOperator(t, "ACME")
	ca.issue("server")
	file := filepath.Join(t.TempDir(), "revoked")
	document := frame{}
	hello := frame{"authentication": byOperator, "optional_client_certificates": true, "revoked": writeRevoked(t, file, document)}
	e := startEngine(t, o.config(ca.tlsBlock(ca.caFile()), "ACME"), hello)
	if !e.opts.TLSConfig.SessionTicketsDisabled {
		t.Error("there are session tickets")
	}
	bad, good := ca.numbered("bad.example", 0x4f), ca.numbered("good.example", 0x50)
	in := func(certificate *tls.Certificate) *connecting {
		return e.connect(fmt.Sprintf("tls://127.0.0.1:%d", e.ports["client"]), o.login("ACME"), nats.Secure(always(certificate, ca)))
	}
	first, second := in(&bad).in(), in(&good).in()
	document["lists"] = frame{keyOf(ca.cert): frame{"serials": []string{"4f"}}}
	writeRevoked(t, file, document)
	e.send(frame{"type": "revoked", "id": 1, "revoked": file})
	if answer := e.expectAfterLosses("reloaded"); answer["problem"] != "" {
		t.Fatal(answer)
	}
	eventually(t, "the revoked one is out", func() bool { return !first.IsConnected() })
	again := in(&bad)
	if again.wait(); again.err == nil {
		t.Error("it came back")
	}
	if !second.IsConnected() || second.Flush() != nil {
		t.Error("the other one is out too")
	}
	in(&good).in()
}
