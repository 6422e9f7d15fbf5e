package main

// Chains of certificates that were verified are remembered: a fleet comes back with the same certificates, and checking
// the signature of its CA once more for each connection is, with RSA of 4096 bits, nearly half of what one costs.
//
// What x509 answers hangs on the certificates shown, on those of the CA file, and on which of all these are valid at the
// time. So it is remembered by a hash over all that was shown, in a memory of one configuration of TLS, and for as long as
// none of them begins or ends to be valid, by a clock that may be set back: the answer is the same as of verifying anew.
// Who is revoked, and whether the peer has the key, is looked at for each connection as ever.
//
// TLS verifies by itself before it asks anybody, and only then it tells the peer exactly what it dislikes. So it goes on
// to, but for addresses from which somebody with a certificate has logged in: only theirs are verified here.

import (
	"crypto/fips140"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"math"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mostVerified is how many chains of each listener are remembered at least, and as many addresses; twice as many at
	// most, about 200 bytes each.
	mostVerified = 1 << 15
	// mostWays and mostLinks bound what one of them takes: in how many ways it was verified, and over how many certificates.
	mostWays  = 4
	mostLinks = 10
	// verifiedWithin is how long ago at most TLS has verified what it tells of.
	verifiedWithin = time.Minute
)

// authoritiesOf has the certificates of each pool of CAs that a configuration uses, as they are in it.
var authoritiesOf sync.Map // of weak.Pointer[x509.CertPool], to []*x509.Certificate

func init() { server.LoadAuthorities = loadAuthorities }

// loadAuthorities reads the certificates of a CA file as x509 does, and keeps them for as long as their pool is used.
func loadAuthorities(text []byte) (*x509.CertPool, bool) {
	pool := x509.NewCertPool()
	var found []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if each, err := x509.ParseCertificate(block.Bytes); err == nil {
			pool.AddCert(each)
			found = append(found, each)
		}
	}
	key := weak.Make(pool)
	authoritiesOf.Store(key, found)
	runtime.AddCleanup(pool, func(key weak.Pointer[x509.CertPool]) { authoritiesOf.Delete(key) }, key)
	return pool, len(found) > 0
}

// verification is in which ways a chain was verified, and in which Unix seconds, both included, the answer is the same.
type verification struct {
	from, until int64
	// ways have the certificates of each by number: of those shown from 0 up, of the CA file from -1 down.
	ways [][]int16
}

func (v *verification) holds(now time.Time) bool {
	second := now.Unix()
	return v.from <= second && second <= v.until
}

type chainKey [sha256.Size]byte

// keyOfChain is a hash over all that a peer has shown, in its order.
func keyOfChain(shown []*x509.Certificate) chainKey {
	sum := sha256.New()
	for _, each := range shown {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(each.Raw)))
		sum.Write(size[:])
		sum.Write(each.Raw)
	}
	return chainKey(sum.Sum(nil))
}

// verified remembers what came by one listener, for one configuration of TLS.
type verified struct {
	config      *tls.Config // of the listener; it stays as it is
	noting      *tls.Config // the same, and what it has verified is kept
	authorities []*x509.Certificate

	mu        sync.Mutex
	chains    lately[chainKey, *verification]
	addresses lately[netip.Addr, *verification] // from where somebody has logged in, and with what last
}

// verifiedBy are the memories of all listeners for clients and leafnodes, by the name of their doors.
type verifiedBy map[string]*verified

// rememberVerified makes memories for the listeners of a configuration. It is to be called when all else is set.
func rememberVerified(opts *server.Options) verifiedBy {
	all := verifiedBy{}
	for name, config := range map[string]*tls.Config{
		"client": opts.TLSConfig, "websocket": opts.Websocket.TLSConfig, "leafnode": opts.LeafNode.TLSConfig,
	} {
		if v := newVerified(config); v != nil {
			all[name] = v
		}
	}
	return all
}

// newVerified returns nil for a configuration that is not of the usual kind.
func newVerified(config *tls.Config) *verified {
	// By the rules of FIPS some chains do not count, and only TLS itself knows which. Sessions that are resumed are not
	// verified at all.
	if config == nil || fips140.Enabled() || !config.SessionTicketsDisabled || config.VerifyPeerCertificate != nil {
		return nil
	}
	authorities, ok := authoritiesOf.Load(weak.Make(config.ClientCAs))
	if !ok || config.ClientAuth != tls.VerifyClientCertIfGiven && config.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil
	}
	v := &verified{
		config: config, noting: config.Clone(), authorities: authorities.([]*x509.Certificate),
		chains: newLately[chainKey, *verification](mostVerified), addresses: newLately[netip.Addr, *verification](mostVerified),
	}
	v.noting.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.VerifiedChains) > 0 {
			now := v.now()
			v.keep(state.PeerCertificates, state.VerifiedChains, now.Add(-verifiedWithin), now)
		}
		return v.further(state)
	}
	return v
}

// further looks at what else the listener wants to look at for each connection.
func (v *verified) further(state tls.ConnectionState) error {
	if v.config.VerifyConnection == nil {
		return nil
	}
	return v.config.VerifyConnection(state)
}

// now is the time as TLS has it.
func (v *verified) now() time.Time {
	if v.config.Time != nil {
		return v.config.Time()
	}
	return time.Now()
}

// keep remembers what TLS or x509 has verified at some time up to now. What may have changed since then is not kept, nor
// what is not valid by now: the clock may have been set meanwhile.
func (v *verified) keep(shown []*x509.Certificate, chains [][]*x509.Certificate, since, now time.Time) {
	if len(chains) > mostWays || len(shown) > mostLinks {
		return
	}
	found := &verification{}
	if found.from, found.until = v.unchanged(shown, now); !found.holds(since) {
		return
	}
	for _, chain := range chains {
		way := make([]int16, 0, len(chain))
		for _, each := range chain {
			place, ok := v.placeOf(each, shown)
			if !ok || len(way) == mostLinks || now.Before(each.NotBefore) || now.After(each.NotAfter) {
				return
			}
			way = append(way, place)
		}
		found.ways = append(found.ways, way)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.chains.put(keyOfChain(shown), found)
}

// placeOf numbers a certificate of a chain. What x509 returns are the certificates that it was given.
func (v *verified) placeOf(each *x509.Certificate, shown []*x509.Certificate) (int16, bool) {
	if place := slices.Index(shown, each); place >= 0 {
		return int16(place), true
	}
	place := slices.Index(v.authorities, each)
	return int16(-1 - place), place >= 0 && place < math.MaxInt16
}

// unchanged returns the seconds around a time in which none of the certificates that matter begins or ends to be valid.
func (v *verified) unchanged(shown []*x509.Certificate, now time.Time) (from, until int64) {
	from, until = math.MinInt64, math.MaxInt64
	for _, all := range [][]*x509.Certificate{shown, v.authorities} {
		for _, each := range all {
			// A second begins or ends with what is valid from its first moment on, or up to that moment.
			begins, ends := each.NotBefore.Unix(), each.NotAfter.Unix()
			if now.Before(each.NotBefore) {
				until = min(until, begins-1)
			} else {
				from = max(from, begins)
			}
			if now.After(each.NotAfter) {
				from = max(from, ends+1)
			} else {
				until = min(until, ends-1)
			}
		}
	}
	return from, until
}

// securing returns the configuration for a connection that begins, in place of the listener's own: one by which TLS
// verifies, or for an address that is known one that looks here first.
func (v *verified) securing(visitor *visitor, config *tls.Config) *tls.Config {
	if config != v.config {
		return config
	}
	if !v.knows(visitor.at.remote.Addr()) {
		return v.noting
	}
	own := config.Clone()
	own.ClientAuth = tls.RequestClientCert
	if config.ClientAuth == tls.RequireAndVerifyClientCert {
		own.ClientAuth = tls.RequireAnyClientCert
	}
	own.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) > 0 {
			chains, err := v.verify(state.PeerCertificates, v.now())
			if err != nil {
				v.doubt(visitor.at.remote.Addr())
				return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
			}
			visitor.chains.Store(&chains)
			state.VerifiedChains = chains
		}
		return v.further(state)
	}
	return own
}

// verify returns the verified chains of what a peer has shown: remembered ones, or those of x509, asked as TLS asks it.
func (v *verified) verify(shown []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	v.mu.Lock()
	found, ok := v.chains.get(keyOfChain(shown))
	v.mu.Unlock()
	if ok && found.holds(now) {
		return v.chainsOf(found, shown), nil
	}
	intermediates := x509.NewCertPool()
	for _, each := range shown[1:] {
		intermediates.AddCert(each)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: v.config.ClientCAs, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		v.keep(shown, chains, now, now)
	}
	return chains, err
}

// chainsOf makes chains of certificates that are there again.
func (v *verified) chainsOf(found *verification, shown []*x509.Certificate) [][]*x509.Certificate {
	chains := make([][]*x509.Certificate, len(found.ways))
	for i, way := range found.ways {
		chains[i] = make([]*x509.Certificate, len(way))
		for j, place := range way {
			if place >= 0 {
				chains[i][j] = shown[place]
			} else {
				chains[i][j] = v.authorities[-1-place]
			}
		}
	}
	return chains
}

// admitted notes from where somebody has logged in whose chain TLS has verified.
func (v *verified) admitted(address netip.Addr, state *tls.ConnectionState) {
	key := keyOfChain(state.PeerCertificates)
	v.mu.Lock()
	defer v.mu.Unlock()
	if found, ok := v.chains.get(key); ok {
		v.addresses.put(address, found)
	}
}

// knows tells whether who comes from an address is likely to show what was verified.
func (v *verified) knows(address netip.Addr) bool {
	now := v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.addresses.get(address)
	return ok && found.holds(now)
}

// doubt has TLS tell whoever comes from an address why it refuses him.
func (v *verified) doubt(address netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.addresses.drop(address)
}

// remember begins anew, with the memories of another configuration. Who comes before that is verified by TLS.
func (d *doors) remember(all verifiedBy) { d.verified.Store(&all) }

// Securing is the library's hook.
func (d *doors) Securing(conn net.Conn, config *tls.Config) *tls.Config {
	if visitor, ok := conn.(*visitor); ok {
		if v := (*d.verified.Load())[visitor.door.name]; v != nil {
			return v.securing(visitor, config)
		}
	}
	return config
}

// CompleteState is the library's hook: it adds the chains that were verified here.
func (v *visitor) CompleteState(state *tls.ConnectionState) {
	if chains := v.chains.Load(); chains != nil {
		state.VerifiedChains = *chains
	}
}
