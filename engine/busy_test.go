package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// answering is an engine whose broker lets everybody in; frames of other types are kept.
type answering struct {
	*testEngine
	others     chan frame
	generation atomic.Int64
}

func answerAll(e *testEngine) *answering {
	a := &answering{testEngine: e, others: make(chan frame, 1000)}
	a.generation.Store(7)
	go func() {
		for f := range e.frames {
			if f["type"] == "question" {
				go a.send(allowing(f, frame{"generation": a.generation.Load()}))
				continue
			}
			a.others <- f
		}
	}()
	return a
}

// reloads replaces the file and the hello, and wants the problem, a part of it, or none.
func (a *answering) reloads(config, problem string, changes frame) {
	a.t.Helper()
	if err := os.WriteFile(a.file, []byte(config), 0o600); err != nil {
		a.t.Fatal(err)
	}
	hello := validHello()
	for field, value := range changes {
		hello[field] = value
	}
	a.send(frame{"type": "reload", "id": 7, "hello": hello})
	a.answers(problem)
}

// answers wants an answer with the problem, a part of it, or none.
func (a *answering) answers(problem string) {
	a.t.Helper()
	for {
		select {
		case f := <-a.others:
			if f["type"] != "reloaded" {
				continue
			}
			if got := f["problem"].(string); (got == "") != (problem == "") || !strings.Contains(got, problem) {
				a.t.Fatalf("wanted the problem %q, got %v", problem, f)
			}
			return
		case <-time.After(patience):
			a.t.Fatal("no answer to the reload")
		}
	}
}

// busy is a file of an engine with every kind of listener and link; each part is changed by a test.
type busy map[string]string

func (b busy) with(changes ...string) busy {
	changed := busy{}
	for name, value := range b {
		changed[name] = value
	}
	for i := 0; i < len(changes); i += 2 {
		changed[changes[i]] = changes[i+1]
	}
	return changed
}

func (b busy) String() string {
	text := `
		listen: "127.0.0.1:-1"
		server_name: test
		max_connections: MAXCONN
		max_subscriptions: MAXSUBS
		write_deadline: DEADLINE
		debug: DEBUG
		client_advertise: ADVERTISE
		authorization { timeout: AUTH }
		tls { TLS }
		accounts {
			system {}
			choria {
				mappings { MAPPINGS }
				imports [ { stream { account: provisioning, subject: "life.>" } } ]
				exports [ { service: election, response: single, accounts: [ provisioning ] } ]
			}
			provisioning {
				exports [ { stream: "life.>", accounts: [ choria ] } ]
				imports [ { service { account: choria, subject: election }, to: election } ]
			}
			ACCOUNTS
		}
		system_account: system
		websocket { listen: "127.0.0.1:-1", advertise: ADVERTISE, tls { FILES } }
		leafnodes { listen: "127.0.0.1:-1", advertise: ADVERTISE, write_deadline: DEADLINE, authorization { timeout: AUTH }, tls { TLS }, remotes [ REMOTES ] }
		cluster { name: A, listen: "127.0.0.1:-1", pool_size: -1, no_advertise: true, write_deadline: DEADLINE, tls { TLS, verify: true }, routes [ ROUTES ] }
		gateway { name: A, listen: "127.0.0.1:-1", write_deadline: DEADLINE, tls { TLS, verify: true }, gateways [ { name: B, urls: [ "nats://127.0.0.1:1" ], tls { TLS } } ] }
	`
	// A value can have names of others in it.
	for range 3 {
		for name, value := range b {
			text = strings.ReplaceAll(text, name, value)
		}
	}
	return text
}

// flow is a connection that is subscribed to what another one publishes.
type flow struct {
	conn     *nats.Conn
	got      atomic.Int64
	disorder atomic.Bool
}

// traffic publishes from each connection to the next, and counts. What was sent before it was stopped last is before.
type traffic struct {
	t      testing.TB
	flows  []*flow
	sent   int64
	before int64
	stop   chan struct{}
	ended  chan struct{}
}

func startTraffic(t testing.TB, conns []*nats.Conn) *traffic {
	t.Helper()
	r := &traffic{t: t}
	for i, conn := range conns {
		f := &flow{conn: conn}
		r.flows = append(r.flows, f)
		_, err := conn.Subscribe(fmt.Sprintf("flow.%d", i), func(m *nats.Msg) {
			if number, err := strconv.ParseInt(string(m.Data), 10, 64); err != nil || number != f.got.Add(1) {
				f.disorder.Store(true)
			}
		})
		if err == nil {
			err = conn.FlushTimeout(patience)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.flow()
	return r
}

// flow has messages flow, for the first time or once more.
func (r *traffic) flow() {
	r.before, r.stop, r.ended = r.sent, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(r.ended)
		for {
			r.sent++
			for i, f := range r.flows {
				f.conn.Publish(fmt.Sprintf("flow.%d", (i+1)%len(r.flows)), strconv.AppendInt(nil, r.sent, 10))
			}
			select {
			case <-r.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}

// flowOn waits until some more messages came.
func (r *traffic) flowOn() {
	r.t.Helper()
	at := r.flows[0].got.Load()
	eventually(r.t, "messages flow on", func() bool { return r.flows[0].got.Load() > at+1 })
}

// whole stops the messages, and tells that nobody was dropped and every message has come once and in order.
func (r *traffic) whole() {
	r.t.Helper()
	close(r.stop)
	<-r.ended
	for i, f := range r.flows {
		if !f.conn.IsConnected() {
			r.t.Fatalf("connection %d was dropped: %v", i, f.conn.LastError())
		}
		for end := time.Now().Add(patience); f.got.Load() < r.sent && time.Now().Before(end); {
			time.Sleep(2 * time.Millisecond)
		}
		if got := f.got.Load(); got != r.sent || f.disorder.Load() {
			r.t.Fatalf("connection %d got %d of %d messages, in disorder: %v", i, got, r.sent, f.disorder.Load())
		}
	}
	if r.sent-r.before < 3 {
		r.t.Fatalf("only %d rounds", r.sent-r.before)
	}
}

// links are the numbers of all links of a server.
func links(t testing.TB, srv *server.Server) []uint64 {
	t.Helper()
	routes, err := srv.Routez(nil)
	if err != nil {
		t.Fatal(err)
	}
	leafs, err := srv.Leafz(nil)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []uint64
	for _, route := range routes.Routes {
		numbers = append(numbers, route.Rid)
	}
	for _, leaf := range leafs.Leafs {
		numbers = append(numbers, leaf.ID)
	}
	slices.Sort(numbers)
	return numbers
}

// shown returns the certificate of a listener.
func shown(t testing.TB, address string, config *tls.Config) []byte {
	t.Helper()
	conn, err := nats.Connect(address, nats.NoReconnect(), nats.Timeout(patience), nats.Secure(config))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state, err := conn.TLSConnectionState()
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].Raw
}
