package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// revokedFile is what the broker writes beside the configuration file: which certificates are revoked, as it judged the
// lists. Keys name CAs: the hash of a public key, since names of CAs are given twice at times.
type revokedFile struct {
	// RefuseOverdue has certificates refused of whose issuer the list is past its next update.
	RefuseOverdue bool `json:"refuse_overdue"`
	// Anchors are fingerprints of certificates in the CA file that are revoked themselves.
	Anchors []string `json:"anchors"`
	Lists   map[string]struct {
		NextUpdate float64  `json:"next_update"` // Unix seconds, 0 for never
		Serials    []string `json:"serials"`
	} `json:"lists"`
	Entries []revokedEntry `json:"entries"`
}

// revokedEntry is a line of the revocation file, of a certificate or of an identity.
type revokedEntry struct {
	Name   string   `json:"name"`
	Serial string   `json:"serial"`
	Keys   []string `json:"keys"` // issuers that are meant
	// Fingerprints are those of certificates in the CA file that are meant, or below one that is.
	Fingerprints []string `json:"fingerprints"`
	// Leaf has only the certificate of the peer itself meant, Any all with that serial number.
	Leaf  bool    `json:"leaf"`
	Any   bool    `json:"any"`
	Until float64 `json:"until"` // Unix seconds, 0 for ever
	Place string  `json:"place"`
}

// revokedSet is a file that was read, arranged for looking up.
type revokedSet struct {
	revokedFile
	serials map[string]map[string]struct{} // by key
	anchors map[string]struct{}
}

// revocations are what is revoked by now. They outlive reloads, since the TLS configurations of links refer to them.
type revocations struct{ current atomic.Pointer[revokedSet] }

// readRevoked reads the file, and fails for whatever it does not understand. Without a file nothing is revoked.
func readRevoked(file string) (*revokedSet, error) {
	set := &revokedSet{serials: map[string]map[string]struct{}{}, anchors: map[string]struct{}{}}
	if file == "" {
		return set, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the file of revoked certificates: %w", err)
	}
	if err := json.Unmarshal(content, &set.revokedFile); err != nil {
		return nil, fmt.Errorf("the file of revoked certificates cannot be read: %w", err)
	}
	for key, list := range set.Lists {
		serials := make(map[string]struct{}, len(list.Serials))
		for _, serial := range list.Serials {
			serials[serial] = struct{}{}
		}
		set.serials[key] = serials
	}
	for _, anchor := range set.Anchors {
		set.anchors[anchor] = struct{}{}
	}
	return set, nil
}

// guard has the links of a configuration refuse who is revoked, and in operator mode, where nobody is asked, all listeners.
// A session that is resumed would be that of a chain which nobody looks at again, so there are no tickets where certificates
// are asked for.
func (r *revocations) guard(opts *server.Options, authentication string) {
	links := []*tls.Config{opts.Cluster.TLSConfig, opts.Gateway.TLSConfig}
	for _, remote := range opts.Gateway.Gateways {
		links = append(links, remote.TLSConfig)
	}
	for _, remote := range opts.LeafNode.Remotes {
		links = append(links, remote.TLSConfig)
	}
	listeners := []*tls.Config{opts.TLSConfig, opts.Websocket.TLSConfig, opts.LeafNode.TLSConfig}
	if authentication == byOperator {
		links = append(links, listeners...)
	}
	for _, each := range links {
		if each != nil {
			each.VerifyConnection = r.refusal
		}
	}
	for _, each := range append(listeners, links...) {
		if each != nil && each.ClientAuth != tls.NoClientCert {
			each.SessionTicketsDisabled = true
		}
	}
}

// refusal says why the other side of a new connection is refused, nil when it is not.
func (r *revocations) refusal(state tls.ConnectionState) error {
	return r.look(state, (*revokedSet).refusal)
}

// revocation says why the other side of a connection that stands is revoked, nil when it is not. A list that is out of date
// revokes nobody.
func (r *revocations) revocation(state tls.ConnectionState) error {
	return r.look(state, (*revokedSet).revocation)
}

func (r *revocations) look(state tls.ConnectionState, judge func(*revokedSet, []*x509.Certificate, float64) error) error {
	set := r.current.Load()
	chain := chainOf(&state)
	if chain == nil {
		chain = state.PeerCertificates
	}
	if set == nil || len(chain) == 0 {
		return nil
	}
	return judge(set, chain, float64(time.Now().UnixNano())/1e9)
}

// refusal looks at a chain from the leaf up.
func (s *revokedSet) refusal(chain []*x509.Certificate, now float64) error {
	if err := s.revocation(chain, now); err != nil || !s.RefuseOverdue {
		return err
	}
	for i, each := range chain[:len(chain)-1] {
		if list, ok := s.Lists[issuerOf(chain, i)]; ok && list.NextUpdate != 0 && list.NextUpdate <= now {
			return fmt.Errorf("the list of revoked certificates of %q is out of date", each.Issuer)
		}
	}
	return nil
}

// issuerOf returns the key that has signed a certificate in a chain, empty for the last.
func issuerOf(chain []*x509.Certificate, i int) string {
	if i+1 >= len(chain) {
		return ""
	}
	return keyOf(chain[i+1])
}

func (s *revokedSet) revocation(chain []*x509.Certificate, now float64) error {
	name := strings.ToLower(chain[0].Subject.CommonName)
	for _, entry := range s.Entries {
		if entry.Name != "" && entry.Name == name && entry.counts(now) {
			return fmt.Errorf("identity %q is revoked by %s", name, entry.Place)
		}
	}
	for i, each := range chain {
		fingerprint := fingerprintOf(each)
		if _, ok := s.anchors[fingerprint]; ok {
			return fmt.Errorf("the CA certificate %q is revoked", each.Subject)
		}
		key, serial := issuerOf(chain, i), each.SerialNumber.Text(16)
		for _, entry := range s.Entries {
			if slices.Contains(entry.Fingerprints, fingerprint) && entry.counts(now) {
				return fmt.Errorf("the CA certificate %q is revoked by %s", each.Subject, entry.Place)
			}
			if entry.Serial == serial && entry.counts(now) && (entry.Leaf && i == 0 || entry.Any || key != "" && slices.Contains(entry.Keys, key)) {
				return fmt.Errorf("certificate %s of %q is revoked by %s", serial, each.Issuer, entry.Place)
			}
		}
		if _, ok := s.serials[key][serial]; ok {
			return fmt.Errorf("certificate %s of %q is revoked", serial, each.Issuer)
		}
	}
	return nil
}

func (e revokedEntry) counts(now float64) bool { return e.Until == 0 || now < e.Until }

// takeRevoked reads the file anew, and nothing else, and tells the broker how that went.
func (e *engine) takeRevoked(order incoming) {
	var file, problem string
	err := order.inTime()
	if err == nil {
		err = json.Unmarshal(order.Revoked, &file)
	}
	if err == nil {
		var set *revokedSet
		if set, err = readRevoked(file); err == nil {
			e.hello.Revoked = file
			e.revoked.current.Store(set)
			e.endRevoked()
		}
	}
	if err != nil {
		problem = err.Error()
	}
	e.gate.send(reloaded{Type: "reloaded", ID: order.ID, Problem: problem}, inAnyCase)
}

// endRevoked closes what stands and would be refused by now: links, and in operator mode, where nobody is asked, whoever has
// a certificate.
func (e *engine) endRevoked() {
	for _, err := range e.srv.EndLinks(e.revoked.revocation) {
		e.srv.Warnf("Ended a link: %v", err)
	}
	if e.hello.Authentication != byOperator {
		return
	}
	for id, state := range e.sessions.secured() {
		if err := e.revoked.revocation(*state); err != nil {
			e.sessions.end([]uint64{id}, err.Error())
			e.srv.Warnf("Ended cid %d: %v", id, err)
		}
	}
}
