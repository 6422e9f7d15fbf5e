package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// by signs as a key process does.
func by(key crypto.Signer) func(request []byte) []byte {
	return func(request []byte) []byte {
		hashes := map[byte]crypto.Hash{}
		for hash, number := range outsideHashes {
			hashes[number] = hash
		}
		var options crypto.SignerOpts = hashes[request[49]]
		if request[48] == schemePSS {
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hashes[request[49]]}
		}
		signature, err := key.Sign(rand.Reader, request[requestHead:], options)
		if err != nil {
			return append(append(request[:8:8], 1), err.Error()...)
		}
		return append(append(request[:8:8], 0), signature...)
	}
}

// issueOf makes a certificate of a key that the engine never sees, with its files but for the key's.
func (a *authority) issueOf(name string, key crypto.Signer) tls.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc124), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// outsideOf returns the key of a certificate as a configuration has it.
func outsideOf(t testing.TB, a *authority, name string, p *keyProcesses, timeout time.Duration) *outsideKey {
	t.Helper()
	pair, err := loadKeyPair(a.path(name+".pem"), outsidePrefix+"/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	key := pair.PrivateKey.(*outsideKey)
	key.processes, key.timeout = p, timeout
	return key
}

// nameOf returns the name by which key processes know a key.
func nameOf(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOutsideKeysSignAllThatTLSAsksFor(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	for name, key := range map[string]crypto.Signer{"rsa": newRSA(t), "ec": newKey(t), "ed": edwards} {
		p, processes := keySocket(t)
		processes.serve(by(key))
		ca.issueOf(name, key)
		outside := outsideOf(t, ca, name, p, patience)
		if err := outside.try(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		public, isRSA := outside.Public().(*rsa.PublicKey)
		if !isRSA {
			continue
		}
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			digest := make([]byte, hash.Size())
			signature, err := outside.Sign(rand.Reader, digest, hash)
			if err != nil || rsa.VerifyPKCS1v15(public, hash, digest, signature) != nil {
				t.Errorf("PKCS #1 v1.5 with %v: %v", hash, err)
			}
			pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
			signature, err = outside.Sign(rand.Reader, digest, pss)
			if err != nil || rsa.VerifyPSS(public, hash, digest, signature, pss) != nil {
				t.Errorf("PSS with %v: %v", hash, err)
			}
		}
	}
}

func TestOutsideKeysRefuseWhatTLSDoesNotAskFor(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	p, _ := keySocket(t)
	sum := make([]byte, 32)
	for name, each := range map[string]struct {
		key    crypto.Signer
		digest []byte
		opts   crypto.SignerOpts
	}{
		"RSA without a hash":   {newRSA(t), sum, crypto.Hash(0)},
		"a longer salt":        {newRSA(t), sum, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}},
		"any salt":             {newRSA(t), sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}},
		"another length":       {newRSA(t), sum[:20], crypto.SHA256},
		"an unknown hash":      {newRSA(t), sum[:16], crypto.MD5},
		"ECDSA without a hash": {newKey(t), sum, crypto.Hash(0)},
		"Ed25519 with a hash":  {edwards, sum, crypto.SHA256},
	} {
		ca.issueOf("peer", each.key)
		if signature, err := outsideOf(t, ca, "peer", p, patience).Sign(rand.Reader, each.digest, each.opts); err == nil {
			t.Errorf("%s: %d bytes", name, len(signature))
		}
	}
}

func TestAConfigurationIsRefusedWhoseKeyNobodyHas(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newRSA(t)
	ca.issueOf("server", key)
	block := strings.ReplaceAll(ca.tlsBlock(ca.caFile()), ca.path("server.key"), outsidePrefix+ca.path("server.key"))
	config := writeFile(t, "nats.conf", plainConfig+block)
	if err := checkOptions(config); err != nil {
		t.Errorf("looked at without key processes: %v", err)
	}
	for want, answer := range map[string]func([]byte) []byte{
		"does not fit the certificate":               by(newRSA(t)),
		`the key process refuses: "unknown key"`:     func(request []byte) []byte { return append(append(request[:8:8], 1), "unknown key"...) },
		`begins with "key-process:" needs --keys-fd`: nil,
		"does not belong to certificate":             by(key),
	} {
		opts, err := loadOptions(config, byQuestions)
		if err != nil {
			t.Fatal(err)
		}
		var p *keyProcesses
		if answer != nil {
			var processes *fakeProcesses
			p, processes = keySocket(t)
			processes.serve(answer)
		}
		names := map[string]string{ca.path("server.key"): nameOf(t, key)}
		if strings.Contains(want, "belong") {
			names = map[string]string{ca.path("server.key"): nameOf(t, newRSA(t))}
		}
		if err = p.bind(opts, names); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
}

// TestEveryListenerHasItsKeyOutside makes handshakes of both versions on all listeners, with a key that only the fake
// processes have, and takes over another one.
func TestEveryListenerHasItsKeyOutside(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newRSA(t)
	ca.issueOf("server", key)
	peer := ca.issue("peer.example")
	p, processes := keySocket(t)
	processes.serve(by(key))
	block := strings.ReplaceAll(ca.tlsBlock(ca.caFile()), ca.path("server.key"), outsidePrefix+ca.path("server.key"))
	links := fmt.Sprintf(`
		cluster { name: c, listen: "127.0.0.1:-1", %[1]s }
		gateway { name: c, listen: "127.0.0.1:-1", %[1]s }
		`, strings.Replace(block, "tls {", "tls { verify: true,", 1))
	hello := frame{"optional_client_certificates": true, "keys": frame{ca.path("server.key"): nameOf(t, key)}}
	e := startEngineWith(t, tlsConfig(block)+links, hello, p)
	handshakes := func() {
		t.Helper()
		for _, listener := range []string{"client", "websocket", "leafnode", "cluster", "gateway"} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				before := p.counts().Signed
				conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.ports[listener]))
				if err != nil {
					t.Fatal(err)
				}
				if listener == "client" || listener == "leafnode" {
					conn.Read(make([]byte, 4096)) // INFO comes before TLS.
				}
				secured := tls.Client(conn, &tls.Config{
					RootCAs: ca.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{peer},
					MinVersion: version, MaxVersion: version,
				})
				if err := secured.Handshake(); err != nil {
					t.Errorf("%s with %s: %v", listener, tls.VersionName(version), err)
				}
				if p.counts().Signed == before {
					t.Errorf("%s with %s: nothing was signed outside", listener, tls.VersionName(version))
				}
				conn.Close()
			}
		}
	}
	handshakes()
	if _, err := os.Stat(ca.path("server.key")); err == nil {
		t.Fatal("there is a file of the key")
	}
}

func TestIDsAreHashesOfPublicKeys(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	if outside := outsideOf(t, ca, "server", nil, 0); hex.EncodeToString(outside.id[:]) != nameOf(t, key) {
		t.Error("the id is something else")
	} else if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignLost) {
		t.Errorf("without processes: %v", err)
	}
	var none *keyProcesses
	if err := none.bind(&server.Options{}, nil); err != nil {
		t.Errorf("without keys outside: %v", err)
	}
}
