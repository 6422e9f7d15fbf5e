package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// Classes of TLS, as a question has them.
const (
	noTLS         = "none"
	noCertificate = "anon"
	verifiedTLS   = "mtls"
)

// chainOf returns the verified chain that counts, nil without one. A CA may be renewed, and be in the file twice: of
// several chains it is the one whose end will be good for the longest.
func chainOf(state *tls.ConnectionState) []*x509.Certificate {
	var lasts []*x509.Certificate
	for _, chain := range state.VerifiedChains {
		if lasts == nil || chain[len(chain)-1].NotAfter.After(lasts[len(lasts)-1].NotAfter) {
			lasts = chain
		}
	}
	return lasts
}

// standing is what connections have in common that are counted together: of the same kind, on the same CA.
type standing struct {
	Kind        string `json:"kind"`
	TLS         string `json:"tls"`
	Subject     string `json:"subject,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Expires     int64  `json:"expires,omitempty"`
}

// standingOf describes a connection but for its kind; the state is nil without TLS.
func standingOf(state *tls.ConnectionState) standing {
	if state == nil {
		return standing{TLS: noTLS}
	}
	chain := chainOf(state)
	if chain == nil {
		return standing{TLS: noCertificate}
	}
	ca := chain[len(chain)-1]
	end := anchorOf(ca)
	return standing{TLS: verifiedTLS, Subject: end.Subject, Fingerprint: end.Fingerprint, Expires: ca.NotAfter.Unix()}
}

// mostAnchors is how many certificates are remembered in which chains end; a CA file has a few.
const mostAnchors = 64

// anchors are certificates of CA files, described. Each chain that ends in one of them ends in the same pointer.
var anchors = struct {
	sync.RWMutex
	known map[*x509.Certificate]*anchor
}{known: map[*x509.Certificate]*anchor{}}

// anchorOf describes the last certificate of a verified chain; what it returns is not to be changed.
func anchorOf(last *x509.Certificate) *anchor {
	anchors.RLock()
	found := anchors.known[last]
	anchors.RUnlock()
	if found != nil {
		return found
	}
	found = &anchor{clip(last.Subject.String(), mostOfCertificate), fingerprintOf(last), keyOf(last)}
	anchors.Lock()
	defer anchors.Unlock()
	if len(anchors.known) == mostAnchors {
		clear(anchors.known) // Of files that were read before, or of leaves that are in the file themselves.
	}
	anchors.known[last] = found
	return found
}

// tlsOf returns the state of TLS of a connection, nil without.
func tlsOf(conn net.Conn) *tls.ConnectionState {
	if secured, ok := conn.(*tls.Conn); ok {
		state := secured.ConnectionState()
		if visitor, ok := secured.NetConn().(*visitor); ok {
			visitor.CompleteState(&state)
		}
		return &state
	}
	return nil
}

// tally counts the connections that are in by their standing. There are few standings: kinds, and CAs of the file.
type tally map[standing]*counted

// counted is one count of a tally, for which each connection has a pointer only.
type counted struct {
	standing
	Count int `json:"count"`
}

func (t tally) enter(s standing) *counted {
	found := t[s]
	if found == nil {
		found = &counted{standing: s}
		t[s] = found
	}
	found.Count++
	return found
}

func (t tally) leave(c *counted) {
	if c.Count--; c.Count == 0 {
		delete(t, c.standing)
	}
}

// kindOf names a connection that came through a door. Leafnodes come through that of websockets as well.
func kindOf(kind int, door string) string {
	if kind == server.LEAF {
		return kindLeafnode
	}
	return door
}

// dialledKinds name the links that this broker has made.
var dialledKinds = map[int]string{server.ROUTER: "to_cluster", server.GATEWAY: "to_gateway", server.LEAF: "to_leafnode"}

// authorities answers the broker's question on which CAs the connections hang that are in.
type authorities struct {
	Type   string          `json:"type"`
	ID     json.RawMessage `json:"id"`
	Counts []counted       `json:"counts"`
}

// tellAuthorities counts the links that this broker has made, and sends them with what was counted at the doors.
func (e *engine) tellAuthorities(order incoming) {
	all := tally{}
	e.srv.Dialled(func(kind int, state *tls.ConnectionState) {
		standing := standingOf(state)
		standing.Kind = dialledKinds[kind]
		all.enter(standing)
	})
	counts := e.doors.counts()
	for _, each := range all {
		counts = append(counts, *each)
	}
	e.gate.send(authorities{Type: "authorities", ID: order.ID, Counts: counts}, inAnyCase)
}

// counts returns the tally as it is.
func (d *doors) counts() []counted {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := make([]counted, 0, len(d.tally))
	for _, each := range d.tally {
		counts = append(counts, *each)
	}
	return counts
}
