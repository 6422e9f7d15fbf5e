package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// fakeProcesses is the other end of the socket that key processes share, with an own idea of answers.
type fakeProcesses struct {
	t       testing.TB
	fd      int
	seen    atomic.Int64
	serving sync.WaitGroup
	ended   sync.Once
}

// keySocket returns the engine's end, and that of the processes.
func keySocket(t testing.TB) (*keyProcesses, *fakeProcesses) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openKeyProcesses(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProcesses{t: t, fd: fds[1]}
	t.Cleanup(func() { f.close(); p.conn.Close() })
	return p, f
}

// close is the end of all processes. The descriptor is closed after them: its number may be somebody else's then.
func (f *fakeProcesses) close() {
	f.ended.Do(func() {
		unix.Shutdown(f.fd, unix.SHUT_RDWR)
		f.serving.Wait()
		unix.Close(f.fd)
	})
}

// serve is one process; nil is no answer.
func (f *fakeProcesses) serve(answer func(request []byte) []byte) {
	f.serving.Go(func() {
		for {
			request := make([]byte, 1024)
			size, err := unix.Read(f.fd, request)
			if err != nil || size <= 0 {
				return
			}
			f.seen.Add(1)
			if made := answer(request[:size]); made != nil {
				unix.Write(f.fd, made)
			}
		}
	})
}

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

func TestASignatureIsNotWaitedForLongerThanAHandshake(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	processes.serve(func([]byte) []byte { return nil })
	outside := outsideOf(t, ca, "server", p, 100*time.Millisecond)
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignTimeout) {
		t.Errorf("got %v", err)
	}
	if counts := p.counts(); counts.Late != 1 || counts.Again != 1 || counts.Signed != 0 {
		t.Errorf("counted %+v", counts)
	}
	eventually(t, "asked for twice", func() bool { return processes.seen.Load() == 2 })
	if len(p.pending) != 0 || len(p.room) != 0 {
		t.Errorf("%d requests are left, %d places taken", len(p.pending), len(p.room))
	}
}

func TestWhatAProcessTookWhenItEndedIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	sign := by(key)
	processes.serve(func(request []byte) []byte {
		if processes.seen.Load() == 1 {
			return nil // It has ended.
		}
		return sign(request)
	})
	outside := outsideOf(t, ca, "server", p, patience)
	signature, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, make([]byte, 32), signature) {
		t.Errorf("got %v", err)
	}
	if counts := p.counts(); counts.Again != 1 || counts.Signed != 1 {
		t.Errorf("counted %+v", counts)
	}
}

func TestRequestsWaitWithinBounds(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issueOf("server", newKey(t))
	p, _ := keySocket(t)
	outside := outsideOf(t, ca, "server", p, 50*time.Millisecond)
	p.waiting.Store(mostSignaturesWaiting)
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignOverflow) {
		t.Errorf("got %v", err)
	}
	p.waiting.Store(0)
	for range cap(p.room) {
		p.room <- struct{}{}
	}
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignTimeout) {
		t.Errorf("got %v", err)
	}
	for range cap(p.room) {
		<-p.room
	}
	// Nobody takes anything: what the kernel has no room for fails at once, and nothing waits for ever.
	var err error
	for range 10_000 {
		if err = p.send(make([]byte, requestHead)); err != nil {
			break
		}
	}
	if !errors.Is(err, errSignOverflow) {
		t.Errorf("a full socket: %v", err)
	}
}

func TestTheEndOfAllKeyProcessesFailsWhoWaits(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issueOf("server", newKey(t))
	p, processes := keySocket(t)
	outside := outsideOf(t, ca, "server", p, time.Hour)
	waiting := make(chan error, 1)
	go func() {
		_, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
		waiting <- err
	}()
	eventually(t, "a request is on its way", func() bool { return len(p.room) == 1 })
	processes.close()
	for range 2 {
		select {
		case err := <-waiting:
			if !errors.Is(err, errSignLost) {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Fatal("it waits for ever")
		}
		go func() { // Also who comes afterwards.
			_, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
			waiting <- err
		}()
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

func TestStrangeAnswersAreIgnored(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	sign := by(key)
	processes.serve(func(request []byte) []byte {
		fd := processes.fd
		unix.Write(fd, []byte("short"))
		unix.Write(fd, append(binary.BigEndian.AppendUint64(nil, 99), 0, 1, 2))
		unix.Write(fd, sign(request))
		return sign(request) // The second answer is nobody's.
	})
	for range 3 {
		if err := outsideOf(t, ca, "server", p, patience).try(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnusableDescriptorsForKeyProcesses(t *testing.T) {
	t.Parallel()
	if p, err := openKeyProcesses(-1); p != nil || err != nil {
		t.Errorf("without one: %v, %v", p, err)
	}
	_, stream := socketPair(t)
	if _, err := openKeyProcesses(int(stream.Fd())); err == nil || !strings.Contains(err.Error(), "keeps messages whole") {
		t.Errorf("a stream: %v", err)
	}
	for name, text := range map[string]string{"empty.pem": "", "damaged.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := loadKeyPair(writeFile(t, name, text), outsidePrefix+"/nowhere"); err == nil {
			t.Errorf("%s was taken", name)
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
