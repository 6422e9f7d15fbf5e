package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	readyTimeout = 50 * time.Second
	// lostTimeout bounds the shutdown after the loss of the gate, when no broker is left to bound it.
	lostTimeout = 10 * time.Second
	// lossesEvery bounds how often the broker is told of what it was not told.
	lossesEvery = time.Second
)

// errNotReady is for what takes too long. A listener that cannot be opened ends the engine in the library, by name.
var errNotReady = fmt.Errorf("the server was not ready within %s; its log says how far it came", readyTimeout)

// engine is a server, and the gate through which it asks.
type engine struct {
	file  string
	hello brokerHello
	opts  *server.Options
	srv   *server.Server
	gate  *gate
	auth  *authenticator
	doors *doors
	drain *drain
	log   *journal
	names lookups

	keys     *keyProcesses
	revoked  *revocations
	sessions *sessions
	origins  atomic.Pointer[origins]
	accounts accountsInFile
	inherited
}

// newEngine prepares everything and opens nothing.
func newEngine(file string, conn net.Conn, hello brokerHello, keys *keyProcesses, log *journal) (*engine, error) {
	g := newGate(conn, hello)
	log.precede(g.admissions.flush) // A line may be about somebody of whom the broker was not told yet.
	table := newSessions()
	known := newMemory(g)
	g.renewed = known.clear
	a := &authenticator{gate: g, memory: known, sessions: table, guesses: newThrottle(), secret: sha256.Sum256([]byte(hello.BridgeSecret))}
	visitors, revoked := &doors{}, &revocations{}
	a.rest = visitors.rest
	opts, origins, err := readOptions(file, hello, a, visitors)
	if err != nil {
		return nil, err
	}
	if err = keys.bind(opts, hello.Keys); err != nil {
		return nil, err
	}
	set, err := readRevoked(hello.Revoked)
	if err != nil {
		return nil, err
	}
	revoked.current.Store(set)
	revoked.guard(opts, hello.Authentication)
	accounts, err := accountsOf(file, hello)
	if err != nil {
		return nil, err
	}
	visitors.remember(rememberVerified(opts))
	visitors.open(opts, hello)
	srv, err := newServer(opts)
	if err != nil {
		return nil, err
	}
	log.follow(opts)
	e := &engine{file: file, hello: hello, opts: opts, srv: srv, gate: g, auth: a, doors: visitors, log: log, keys: keys, revoked: revoked, sessions: table, accounts: accounts}
	e.origins.Store(origins)
	srv.SetWebsocketGuard(func(r *http.Request) error { return e.origins.Load().check(r) })
	srv.SetBeforeLogin(server.BeforeLogin{Line: lineBefore(hello), Refused: a.refusedUnread, Measure: textsIn})
	srv.SetSessionHooks(server.SessionHooks{Admitted: table.admitted, Closed: table.leave})
	srv.SetLoggerV2(log, opts.Debug, false, false)
	g.lostLines = log.lost
	g.debugf, a.errorf, a.account = srv.Debugf, srv.Errorf, srv.LookupAccount
	e.drain = newDrain(srv, visitors, table.because, g.halted)
	g.reload, g.revoke, g.authorities, g.drain = e.reload, e.takeRevoked, e.tellAuthorities, e.follow
	g.list, g.end = e.tellSessions, e.endSessions
	return e, nil
}

// readOptions reads the file and adds what the hello says; nothing of a server is touched.
func readOptions(file string, hello brokerHello, a *authenticator, visitors *doors) (*server.Options, *origins, error) {
	opts, err := loadOptions(file, hello.Authentication)
	if err == nil {
		err = applyHello(opts, hello, a)
	}
	if err != nil {
		return nil, nil, err
	}
	if cluster := opts.Cluster; cluster.Username != "" && !cluster.TLSMap && !cluster.TLSCheckKnownURLs {
		opts.CustomRouterAuthentication = newRouteLogin(a.gate, a.guesses, cluster)
	}
	opts.Hooks = visitors
	origins, err := newOrigins(hello, opts.Websocket.TLSConfig)
	return opts, origins, err
}

// newServer makes a server whose remote gateways have TLS only where their own blocks say so. The library would have
// those without inherit the listener's, which it looks at here, and again for each connection it accepts.
func newServer(opts *server.Options) (*server.Server, error) {
	listener := opts.Gateway.TLSConfig
	opts.Gateway.TLSConfig = nil
	defer func() { opts.Gateway.TLSConfig = listener }()
	return server.NewServer(opts)
}

// live starts the server and returns the exit code when it has ended.
func (e *engine) live(terminate <-chan os.Signal) (int, error) {
	started, ended := make(chan error, 1), make(chan struct{})
	go func() { started <- e.start() }()
	go func() { e.srv.WaitForShutdown(); close(ended) }()
	late := time.NewTimer(readyTimeout)
	defer late.Stop()
	for {
		select {
		case err := <-started:
			if err != nil {
				return 1, err
			}
			late.Stop()
		case <-late.C:
			return 1, errNotReady
		case <-e.gate.lost:
			e.srv.Errorf("Shutting down: %v", e.gate.err)
			code, err := e.shutdown(terminate, 0)
			if !errors.Is(e.gate.err, errGateClosed) {
				code = 1
			}
			return code, err
		case <-terminate:
			return e.shutdown(terminate, 1)
		case <-ended:
			return 1, errors.New("the server has stopped by itself")
		}
	}
}

// start returns when every listener is open and the broker has been told where.
func (e *engine) start() error {
	go e.doors.watch(e.gate.halted)
	go e.auth.memory.tidy()
	go tellChanges(e.gate, lossesEvery, crowd{Type: "crowd"}, e.doors.crowd)
	if e.keys != nil {
		go tellChanges(e.gate, lossesEvery, signings{Type: "signings"}, e.keys.counts)
	}
	go tellChanges(e.gate, lossesEvery, e.doors.queue(), e.doors.queue)
	go tellChanges(e.gate, movesEvery, e.drain.progress(), e.drain.progress)
	e.srv.Start()
	if !e.srv.ReadyForConnections(readyTimeout) {
		return errNotReady
	}
	ports := boundPorts(e.srv, e.opts)
	if e.bridge != nil {
		go serveBridge(e.bridge, e.srv.InProcessConn)
	}
	if e.pages != nil {
		go servePages(e.pages, e.srv)
	}
	if e.gate.send(ready{Type: "ready", Ports: ports}, inAnyCase) == nil {
		return errors.New("cannot tell the broker that the engine is ready")
	}
	return nil
}

// shutdown ends the server. The broker bounds how long that may take; when it is gone, lostTimeout does. A second
// signal ends the engine at once.
func (e *engine) shutdown(terminate <-chan os.Signal, signals int) (int, error) {
	e.gate.halt()
	e.names.end()
	ended := make(chan struct{})
	go func() { e.srv.Shutdown(); e.srv.WaitForShutdown(); close(ended) }()
	var late <-chan time.Time
	lost := e.gate.lost
	for {
		select {
		case <-ended:
			return 0, nil
		case <-late:
			return 1, fmt.Errorf("the shutdown took longer than %s", lostTimeout)
		case <-lost:
			late, lost = time.After(lostTimeout), nil
		case <-terminate:
			if signals++; signals > 1 {
				return 1, errors.New("a second signal cut the shutdown short")
			}
		}
	}
}
