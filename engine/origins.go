package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// anyOrigin in place of a list of origins lets in the pages of all sites.
const anyOrigin = "any"

// origins says whose pages may open a websocket to this server. A program sends no Origin and is let in; a browser
// always sends that of the page, and nothing a page does can change it.
type origins struct {
	any     bool
	allowed map[site]bool
	// hosts are names of this server, in lower case, under which pages may be of the same origin as it.
	hosts map[string]bool
	// certificate is the server's own, nil without TLS.
	certificate *x509.Certificate
}

// site is an origin taken apart. The default port of its scheme is written out.
type site struct {
	scheme, host, port string
}

// newOrigins reads what the hello says of origins.
func newOrigins(hello brokerHello, config *tls.Config) (*origins, error) {
	o := &origins{allowed: map[site]bool{}, hosts: map[string]bool{"localhost": true}}
	for _, text := range hello.WebsocketOrigins {
		if text == anyOrigin {
			o.any = true
			continue
		}
		parsed, ok := parseSite(text)
		if !ok {
			return nil, protocolErrorf("field 'websocket_origins' of the broker's hello has an entry that is no origin")
		}
		o.allowed[parsed] = true
	}
	for _, name := range hello.WebsocketHosts {
		o.hosts[strings.ToLower(name)] = true
	}
	if config != nil && len(config.Certificates) > 0 && len(config.Certificates[0].Certificate) > 0 {
		// One that cannot be read has no names; the library has looked at it already.
		o.certificate, _ = x509.ParseCertificate(config.Certificates[0].Certificate[0])
	}
	return o, nil
}

// check judges a handshake. What is not letter by letter an origin that is let in is foreign.
func (o *origins) check(r *http.Request) error {
	// The second is what drafts of the protocol called it.
	sent := append(r.Header.Values("Origin"), r.Header.Values("Sec-Websocket-Origin")...)
	if o.any || len(sent) == 0 {
		return nil
	}
	if len(sent) > 1 {
		return errors.New("origin not allowed: there are several")
	}
	origin, ok := parseSite(sent[0])
	// Browsers write origins in lower case; whoever does not is no browser, and only looks like one.
	if ok && sent[0] == strings.ToLower(sent[0]) && (o.allowed[origin] || o.isOwn(origin, r)) {
		return nil
	}
	return fmt.Errorf("origin not allowed: %.128q is foreign to %.128q, see websocket_origins", sent[0], r.Host)
}

// isOwn tells whether an origin is where the request went. The Host has to be one of this server as well: with a name
// of his own that leads here, a stranger would have his pages be of the same origin.
func (o *origins) isOwn(origin site, r *http.Request) bool {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	asked, ok := parseSite(scheme + "://" + r.Host)
	return ok && asked == origin && o.isKnown(origin.host)
}

func (o *origins) isKnown(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || o.hosts[host] {
		return true
	}
	return o.certificate != nil && o.certificate.VerifyHostname(host) == nil
}

// parseSite reads an origin as browsers write it: scheme, host and perhaps a port, nothing before, between or after.
func parseSite(text string) (site, bool) {
	scheme, rest, ok := strings.Cut(text, "://")
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	if !ok || port == "" {
		return site{}, false
	}
	host := rest
	if end := strings.LastIndexByte(rest, ':'); end > strings.LastIndexByte(rest, ']') {
		host, port = rest[:end], rest[end+1:]
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || port != strconv.FormatUint(number, 10) {
			return site{}, false
		}
	}
	return site{scheme, strings.ToLower(host), port}, isHost(host)
}

// isHost takes an IPv6 address in brackets, and else what names and IPv4 addresses consist of.
func isHost(host string) bool {
	if inside, ok := strings.CutPrefix(host, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		address := net.ParseIP(inside)
		return ok && address != nil && strings.Contains(inside, ":")
	}
	for _, part := range strings.Split(host, ".") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}
