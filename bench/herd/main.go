// Has a herd of clients come to a server at once, each of which tries again until it is in, as Choria programs do: an
// attempt gets so much patience in all, and the waits between attempts grow. It tells when all were in, and what it took.
//
// A client without an answer says at which stage it gave up: before the server said anything, which costs next to
// nothing, or after that, which is a handshake in vain.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mostClients    = 20_000
	bytesOfAReader = 1024
)

// backoff is how long Choria programs wait after each failure, give or take a half; the last goes for all that follow.
var backoff = func() []time.Duration {
	waits := []time.Duration{500 * time.Millisecond, 750 * time.Millisecond, time.Second, 1500 * time.Millisecond}
	for wait := 2 * time.Second; wait <= 20*time.Second; wait += 500 * time.Millisecond {
		waits = append(waits, wait)
	}
	return waits
}()

// login is one token with the seed of the key it belongs to.
type login struct {
	Token string `json:"token"`
	Seed  string `json:"seed"`
}

// client is one program of the fleet.
type client struct {
	config *tls.Config
	login  *login // nil with a certificate
	from   net.Addr
	in     time.Duration // from the start to the answer; 0 as long as there is none
	conn   net.Conn
}

// herd is all of them.
type herd struct {
	address  string
	patience time.Duration
	apart    bool // patience begins anew when TCP is connected, as in the Go library
	began    time.Time
	unheard  atomic.Int64 // attempts given up before the server said anything
	inVain   atomic.Int64 // the others
	failure  atomic.Value // of the last
}

// report is the one line this program writes; times in seconds.
type report struct {
	Connected int     `json:"connected"`
	Seconds   float64 `json:"seconds"`
	Unheard   int64   `json:"unheard"`
	InVain    int64   `json:"in_vain"`
	Failure   string  `json:"failure"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Longest   float64 `json:"longest"`
}

func main() {
	address := flag.String("address", "", "host:port of the server, on loopback")
	ca := flag.String("ca", "", "PEM file with the CA of the server")
	identities := flag.String("identities", "", "certificates and keys of clients, as cert:key,cert:key; empty for none")
	logins := flag.String("logins", "", "JSON file with tokens and seeds, empty for none; with certificates too, every other client has a token")
	count := flag.Int("count", 1, "clients")
	sources := flag.Int("sources", 0, "addresses of loopback that they come from; 0: each has its own")
	patience := flag.Duration("patience", 2*time.Second, "how long an attempt may take")
	apart := flag.Bool("apart", false, "so long for TCP, and so long again for the rest")
	longest := flag.Duration("longest", 2*time.Minute, "when to stop")
	flag.Parse()

	if err := run(*address, *ca, *identities, *logins, *count, *sources, *longest, &herd{patience: *patience, apart: *apart}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, ca, identities, logins string, count, sources int, longest time.Duration, h *herd) error {
	if count < 1 || count > mostClients {
		return fmt.Errorf("count is 1 to %d", mostClients)
	}
	clients, err := members(ca, identities, logins, count, sources)
	if err != nil {
		return err
	}
	h.address, h.began = address, time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	var running sync.WaitGroup
	for _, each := range clients {
		running.Go(func() { h.live(ctx, each) })
	}
	running.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(h.summary(clients)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// live tries until it is in.
func (h *herd) live(ctx context.Context, c *client) {
	for try := 0; ctx.Err() == nil; try++ {
		heard, err := h.attempt(ctx, c)
		if err == nil {
			c.in = time.Since(h.began)
			return
		}
		if heard {
			h.inVain.Add(1)
		} else {
			h.unheard.Add(1)
		}
		h.failure.Store(err.Error())
		wait := backoff[min(try, len(backoff)-1)]
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// attempt connects and logs in; heard tells whether the server said anything.
func (h *herd) attempt(ctx context.Context, c *client) (heard bool, err error) {
	start := time.Now()
	dialer := net.Dialer{LocalAddr: c.from, Deadline: start.Add(h.patience), KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return false, err
	}
	if h.apart {
		start = time.Now()
	}
	conn.SetDeadline(start.Add(h.patience))
	heard, err = c.greet(conn)
	if err != nil {
		conn.Close()
		return heard, err
	}
	conn.SetDeadline(time.Time{})
	return true, nil
}

func (c *client) greet(conn net.Conn) (heard bool, err error) {
	line, err := bufio.NewReaderSize(conn, bytesOfAReader).ReadString('\n')
	if err != nil {
		return false, err
	}
	var info struct {
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		return true, err
	}
	secured := tls.Client(conn, c.config)
	if err := secured.Handshake(); err != nil {
		return true, err
	}
	hello, err := c.connect(info.Nonce)
	if err != nil {
		return true, err
	}
	if _, err := secured.Write(hello); err != nil {
		return true, err
	}
	answers := bufio.NewReaderSize(secured, bytesOfAReader)
	for {
		answer, err := answers.ReadString('\n')
		switch {
		case err != nil:
			return true, err
		case strings.HasPrefix(answer, "PONG"):
			c.conn = secured
			return true, nil
		case strings.HasPrefix(answer, "-ERR"):
			return true, errors.New("refused: " + strings.TrimSpace(answer))
		}
	}
}

func (c *client) connect(nonce string) ([]byte, error) {
	fields := map[string]any{
		"verbose": false, "pedantic": false, "tls_required": true, "name": "herd", "lang": "go", "version": "1",
		"protocol": 1, "headers": true, "no_responders": true,
	}
	if c.login != nil {
		seed, err := hex.DecodeString(c.login.Seed)
		if err != nil {
			return nil, err
		}
		fields["auth_token"], fields["jwt"] = c.login.Token, c.login.Token
		fields["sig"] = base64.RawURLEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(nonce)))
	}
	text, err := json.Marshal(fields)
	return fmt.Appendf(nil, "CONNECT %s\r\nPING\r\n", text), err
}

// members prepares the clients.
func members(ca, identities, logins string, count, sources int) ([]*client, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	// The key exchanges that Choria programs offer.
	plain := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}}
	if !plain.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", ca)
	}
	var known []login
	if logins != "" {
		text, err := os.ReadFile(logins)
		if err == nil {
			err = json.Unmarshal(text, &known)
		}
		if err != nil {
			return nil, err
		}
	}
	var certified []*tls.Config
	for _, each := range strings.FieldsFunc(identities, func(r rune) bool { return r == ',' }) {
		certificate, key, _ := strings.Cut(each, ":")
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		config := plain.Clone()
		config.Certificates = []tls.Certificate{pair}
		certified = append(certified, config)
	}
	clients := make([]*client, count)
	for i := range clients {
		c := &client{config: plain, from: source(i, sources)}
		switch {
		case len(known) > 0 && (len(certified) == 0 || i%2 == 0):
			c.login = &known[i%len(known)]
		case len(certified) > 0:
			c.config = certified[i/2%len(certified)]
		}
		clients[i] = c
	}
	return clients, nil
}

// source is the address of a client.
func source(i, sources int) net.Addr {
	if sources > 0 {
		i %= sources
	}
	return &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}
}

func (h *herd) summary(clients []*client) report {
	var waits []time.Duration
	for _, each := range clients {
		if each.in > 0 {
			waits = append(waits, each.in)
		}
	}
	slices.Sort(waits)
	told := report{Connected: len(waits), Unheard: h.unheard.Load(), InVain: h.inVain.Load()}
	if failure, ok := h.failure.Load().(string); ok {
		told.Failure = failure
	}
	if len(waits) > 0 {
		told.P50, told.P99 = waits[len(waits)/2].Seconds(), waits[len(waits)*99/100].Seconds()
		told.Longest = waits[len(waits)-1].Seconds()
		told.Seconds = told.Longest
	}
	return told
}
