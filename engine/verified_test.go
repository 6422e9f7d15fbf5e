package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// drafted is a certificate of the tests before it is signed, valid for a day around now; a change may say otherwise.
func drafted(name string, changes ...func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-12 * time.Hour).Truncate(time.Second), NotAfter: time.Now().Add(12 * time.Hour).Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, change := range changes {
		change(template)
	}
	return template
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
}

func within(from, until time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(from).Truncate(time.Second), time.Now().Add(until).Truncate(time.Second)
	}
}

// holder is a certificate with its key.
type holder struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// certified makes a certificate; without an issuer it signs itself.
func certified(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey, by *holder) *holder {
	t.Helper()
	issuer := &holder{template, key}
	if by != nil {
		issuer = by
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, &key.PublicKey, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{made(x509.ParseCertificate(der)), key}
}

func textOf(all ...*holder) []byte {
	var text []byte
	for _, each := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: each.Raw})...)
	}
	return text
}

// secured is a listener with a memory, whose clock a test sets.
type secured struct {
	t        testing.TB
	config   *tls.Config
	known    *verified
	clock    time.Time
	listener *net.TCPListener
}

func newSecured(t testing.TB, auth tls.ClientAuthType, cas ...*holder) *secured {
	t.Helper()
	s := &secured{t: t, clock: time.Now()}
	key := newKey(t)
	own := certified(t, drafted("server"), key, nil)
	pool, ok := loadAuthorities(textOf(cas...))
	if !ok {
		t.Fatal("no CA")
	}
	s.config = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}, ClientCAs: pool, ClientAuth: auth,
		SessionTicketsDisabled: true, Time: func() time.Time { return s.clock },
	}
	if s.known = newVerified(s.config); s.known == nil {
		t.Fatal("a configuration of the usual kind has no memory")
	}
	s.listener = made(net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	t.Cleanup(func() { s.listener.Close() })
	return s
}

// answered is what a connection comes to at both of its ends.
type answered struct {
	chains   string // as the server sees them
	problem  string // why the server refuses it
	farewell string // what the client is told
	here     bool   // the chain was verified here, or remembered
}

// come connects with a certificate, and returns what TLS tells the peer of it, empty when it is taken.
func (s *secured) come(certificate *tls.Certificate) string {
	conn, err := tls.Dial("tcp", s.listener.Addr().String(), &tls.Config{
		InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil },
	})
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == io.EOF || err == nil {
		return ""
	}
	return err.Error()
}

// shake has a client show a chain, by the configuration that the listener has now, or by TLS alone.
func (s *secured) shake(remembering bool, shown ...*holder) (a answered) {
	s.t.Helper()
	certificate := &tls.Certificate{}
	for _, each := range shown {
		certificate.Certificate = append(certificate.Certificate, each.Raw)
	}
	if len(shown) > 0 {
		certificate.PrivateKey = shown[0].key
	}
	told := make(chan string, 1)
	go func() { told <- s.come(certificate) }()
	v := &visitor{TCPConn: made(s.listener.AcceptTCP()), door: &door{name: "client"}, at: endpoints{remote: netip.MustParseAddrPort("127.0.0.1:1")}}
	v.settled.Store(true)
	config := s.config
	if remembering {
		config = s.known.securing(v, config)
	}
	conn := tls.Server(v, config)
	err := conn.Handshake()
	if err != nil {
		a.problem = err.Error()
	} else {
		state := tlsOf(conn)
		for _, chain := range state.VerifiedChains {
			for _, each := range chain {
				a.chains += fingerprintOf(each)[:8] + " "
			}
			a.chains += "| "
		}
		a.here = v.chains.Load() != nil
		if remembering && !a.here && state.VerifiedChains != nil {
			s.known.admitted(v.at.remote.Addr(), state)
		}
	}
	conn.CloseWrite()
	a.farewell = <-told
	v.TCPConn.Close()
	return a
}

// peersAndFiles are who may come, with the certificates that each shows, and the CAs of files; there is one called good.
func peersAndFiles(t *testing.T) (peers, files map[string][]*holder) {
	t.Helper()
	rootKey, middleKey := newKey(t), newKey(t)
	root := certified(t, drafted("root", asCA), rootKey, nil)
	over := certified(t, drafted("root", asCA, within(-3*time.Hour, -time.Hour)), rootKey, nil)
	early := certified(t, drafted("root", asCA, within(time.Hour, 9*time.Hour)), rootKey, nil)
	foreign := certified(t, drafted("root", asCA), newKey(t), nil)
	middle := certified(t, drafted("middle", asCA), middleKey, root)
	twin := certified(t, drafted("middle", asCA, within(-3*time.Hour, 3*time.Hour)), middleKey, root)
	narrow := certified(t, drafted("middle", asCA, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"elsewhere.example"}
	}), middleKey, root)
	strange := certified(t, drafted("middle", asCA), middleKey, foreign)
	named := func(c *x509.Certificate) { c.DNSNames = []string{"peer.example"} }
	leafKey := newKey(t)
	good := certified(t, drafted("peer", named), leafKey, root)
	below := certified(t, drafted("peer", named), leafKey, middle)
	server := certified(t, drafted("peer", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), leafKey, root)
	past := certified(t, drafted("peer", within(-3*time.Hour, -2*time.Hour)), leafKey, root)
	future := certified(t, drafted("peer", within(2*time.Hour, 3*time.Hour)), leafKey, root)
	namesake := certified(t, drafted("peer", named), leafKey, foreign)
	raw := slices.Clone(good.Raw)
	raw[len(raw)-1] ^= 1 // Of the signature.
	tampered := &holder{made(x509.ParseCertificate(raw)), leafKey}
	robbed := &holder{good.Certificate, newKey(t)}

	peers = map[string][]*holder{
		"nothing": nil, "good": {good}, "below": {below, middle}, "below the twin": {below, twin}, "below both": {below, middle, twin}, "no intermediate": {below},
		"a narrow one": {below, narrow}, "an intermediate of others": {below, strange}, "a server's": {server}, "past": {past}, "future": {future},
		"a namesake": {namesake}, "tampered with": {tampered}, "with the root": {good, root}, "the root itself": {root}, "without its key": {robbed},
	}
	files = map[string][]*holder{
		"one": {root}, "renewed": {over, root, early}, "twice": {root, root, foreign}, "both": {root, middle}, "with a leaf": {root, good}, "others": {foreign},
	}
	return peers, files
}

// TestRememberedChainsAreThoseOfTLS has peers of all kinds come, some after others, to listeners with and without a memory.
func TestRememberedChainsAreThoseOfTLS(t *testing.T) {
	t.Parallel()
	peers, files := peersAndFiles(t)
	times := []time.Duration{0, -150 * time.Minute, 150 * time.Minute, 13 * time.Hour, 0}
	for file, cas := range files {
		for _, auth := range []tls.ClientAuthType{tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert} {
			if auth == tls.RequireAndVerifyClientCert && file != "one" {
				continue // The chains are the same.
			}
			t.Run(fmt.Sprint(file, auth), func(t *testing.T) {
				t.Parallel()
				s := newSecured(t, auth, cas...)
				s.shake(true, peers["good"]...)
				remembered := 0
				for i, shift := range times {
					s.clock = time.Now().Add(shift)
					for name, shown := range peers {
						want := s.shake(false, shown...)
						for again := range 2 {
							got := s.shake(true, shown...)
							if got.here {
								remembered++
							}
							if got.chains != want.chains || got.problem != want.problem {
								t.Errorf("%s at time %d, %d: %+v, and TLS: %+v", name, i, again, got, want)
							}
							// An address that was fine may be told less exactly, and only once.
							if got.farewell != want.farewell && (again == 1 || !strings.Contains(got.farewell, "bad certificate")) {
								t.Errorf("%s at time %d, %d: %q, and TLS: %q", name, i, again, got.farewell, want.farewell)
							}
						}
					}
				}
				if remembered == 0 {
					t.Error("no connection was verified here")
				}
			})
		}
	}
}

// TestRememberedChainsAreNotVerified makes sure that what is remembered is used, and for how long.
func TestRememberedChainsAreNotVerified(t *testing.T) {
	t.Parallel()
	root := certified(t, drafted("root", asCA), newKey(t), nil)
	soon := certified(t, drafted("soon", asCA, within(3*time.Hour, 9*time.Hour)), newKey(t), nil)
	leaf := certified(t, drafted("peer", within(-2*time.Hour, 5*time.Hour)), newKey(t), root)
	shown := []*x509.Certificate{leaf.Certificate}
	for name, c := range map[string]struct {
		at   time.Time
		used bool
	}{
		"at the same time":                {time.Now(), true},
		"when it becomes valid":           {leaf.NotBefore, true},
		"before":                          {leaf.NotBefore.Add(-time.Nanosecond), false},
		"before another CA becomes valid": {soon.NotBefore.Add(-time.Nanosecond), true},
		"when another CA becomes valid":   {soon.NotBefore, false},
		"when it ends":                    {leaf.NotAfter.Add(time.Nanosecond), false},
		"long after":                      {leaf.NotAfter.AddDate(9000, 0, 0), false},
		"long before":                     {leaf.NotBefore.AddDate(-1990, 0, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecured(t, tls.VerifyClientCertIfGiven, root, soon)
			first, err := s.known.verify(shown, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			s.known.config.ClientCAs = x509.NewCertPool() // Nobody can be verified anew.
			got, err := s.known.verify(shown, c.at)
			if used := err == nil; used != c.used {
				t.Fatalf("used %t, %v", used, err)
			}
			if c.used && (len(got) != 1 || !slices.Equal(got[0], first[0]) || got[0][0] != leaf.Certificate) {
				t.Errorf("chains %v, want %v", got, first)
			}
		})
	}
}

func TestChainsThatAreNotRemembered(t *testing.T) {
	t.Parallel()
	root := certified(t, drafted("root", asCA), newKey(t), nil)
	s := newSecured(t, tls.VerifyClientCertIfGiven, root)
	foreign := certified(t, drafted("peer"), newKey(t), certified(t, drafted("root", asCA), newKey(t), nil))
	leaf := certified(t, drafted("peer"), newKey(t), root).Certificate
	if _, err := s.known.verify([]*x509.Certificate{foreign.Certificate}, time.Now()); err == nil {
		t.Fatal("of others")
	}
	long := slices.Repeat([]*x509.Certificate{leaf}, mostLinks+1)
	if _, err := s.known.verify(long, time.Now()); err != nil {
		t.Fatal(err)
	}
	ways := slices.Repeat([][]*x509.Certificate{{leaf, s.known.authorities[0]}}, mostWays+1)
	one, now := []*x509.Certificate{leaf}, time.Now()
	s.known.keep(one, ways, now, now)
	s.known.keep(one, [][]*x509.Certificate{{leaf, foreign.Certificate}}, now, now) // Nobody knows where that is from.
	// TLS verifies, and then tells of it: meanwhile something has ended, has begun, or the clock was set.
	right, ended := ways[:1], leaf.NotAfter.Add(2*time.Second)
	for _, times := range [][2]time.Time{
		{leaf.NotAfter, ended}, {ended, ended}, {leaf.NotBefore.Add(-time.Second), leaf.NotBefore}, {leaf.NotBefore.Add(-2 * time.Second), leaf.NotBefore.Add(-time.Second)},
		{ended, leaf.NotAfter},
	} {
		s.known.keep(one, right, times[0], times[1])
	}
	if n := len(s.known.chains.younger); n != 0 {
		t.Errorf("%d are remembered", n)
	}
	if s.known.keep(one, right, now.Add(-verifiedWithin), now); len(s.known.chains.younger) != 1 {
		t.Error("what should be remembered is not")
	}
	if s.known.knows(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the address is known")
	}
}

func TestConfigurationsWithoutMemory(t *testing.T) {
	t.Parallel()
	pool, _ := loadAuthorities(textOf(certified(t, drafted("root", asCA), newKey(t), nil)))
	for name, change := range map[string]func(*tls.Config){
		"tickets":            func(c *tls.Config) { c.SessionTicketsDisabled = false },
		"another CA":         func(c *tls.Config) { c.ClientCAs = x509.NewCertPool() },
		"those of the host":  func(c *tls.Config) { c.ClientCAs = nil },
		"nobody is asked":    func(c *tls.Config) { c.ClientAuth = tls.NoClientCert },
		"nobody is verified": func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert },
		"own checks": func(c *tls.Config) {
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		},
	} {
		config := &tls.Config{ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven, SessionTicketsDisabled: true}
		if newVerified(config) == nil {
			t.Fatal("there should be one")
		}
		if change(config); newVerified(config) != nil {
			t.Errorf("%s: there is a memory", name)
		}
	}
	if newVerified(nil) != nil {
		t.Error("without TLS there is a memory")
	}
}

// TestManyVerifyAtOnce is for the race detector.
func TestManyVerifyAtOnce(t *testing.T) {
	t.Parallel()
	root := certified(t, drafted("root", asCA), newKey(t), nil)
	foreign := certified(t, drafted("root", asCA), newKey(t), nil)
	s := newSecured(t, tls.RequireAndVerifyClientCert, root)
	s.known.chains, s.known.addresses = newLately[chainKey, *verification](3), newLately[netip.Addr, *verification](3)
	var peers [][]*x509.Certificate
	for range 8 {
		peers = append(peers, []*x509.Certificate{certified(t, drafted("peer"), newKey(t), root).Certificate})
	}
	bad := []*x509.Certificate{certified(t, drafted("peer"), newKey(t), foreign).Certificate}
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for i := range 200 {
				shown, address := peers[(i+worker)%len(peers)], netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7)})
				chains, err := s.known.verify(shown, time.Now())
				if err != nil || len(chains) != 1 || chains[0][0] != shown[0] || chains[0][1].Subject.CommonName != "root" {
					t.Errorf("%v, %v", chains, err)
				}
				s.known.admitted(address, &tls.ConnectionState{PeerCertificates: shown})
				s.known.knows(address)
				if _, err := s.known.verify(bad, time.Now()); err == nil {
					t.Error("one of others is verified")
				}
				s.known.doubt(address)
			}
		})
	}
	running.Wait()
}
