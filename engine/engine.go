package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/logger"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	readyTimeout = 50 * time.Second
	// lostTimeout bounds the shutdown after the loss of the gate, when no broker is left to bound it.
	lostTimeout = 10 * time.Second
)

// errNotReady is for what takes too long. A listener that cannot be opened ends the engine in the library, by name.
var errNotReady = fmt.Errorf("the server was not ready within %s; its log says how far it came", readyTimeout)

// engine is a server, the gate through which it asks, and the bridge to its in-process side.
type engine struct {
	file  string
	hello brokerHello
	opts  *server.Options
	srv   *server.Server
	gate  *gate
}

// newEngine prepares everything and opens nothing.
func newEngine(file string, conn net.Conn, hello brokerHello) (*engine, error) {
	g := newGate(conn, hello)
	a := &authenticator{gate: g, secret: sha256.Sum256([]byte(hello.BridgeSecret))}
	opts, err := loadOptions(file, hello.Authentication)
	if err == nil {
		err = applyHello(opts, hello, a)
	}
	if err != nil {
		return nil, err
	}
	srv, err := newServer(opts)
	if err != nil {
		return nil, err
	}
	log := logger.NewStdLogger(opts.Logtime, opts.Debug, false, false, true, logger.LogUTC(opts.LogtimeUTC))
	srv.SetLoggerV2(log, opts.Debug, false, false)
	g.debugf, a.errorf, a.account = srv.Debugf, srv.Errorf, srv.LookupAccount
	e := &engine{file: file, hello: hello, opts: opts, srv: srv, gate: g}
	g.reload = e.reload
	return e, nil
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
	e.srv.Start()
	if !e.srv.ReadyForConnections(readyTimeout) {
		return errNotReady
	}
	ports := boundPorts(e.srv, e.opts)
	bridge, err := openBridge(e.srv.InProcessConn)
	if err != nil {
		return fmt.Errorf("cannot open the bridge: %w", err)
	}
	ports["bridge"] = bridge.port()
	if !e.gate.send(map[string]any{"type": "ready", "ports": ports}) {
		return errors.New("cannot tell the broker that the engine is ready")
	}
	return nil
}

// reload takes over what changed in the file and tells the broker how that went.
func (e *engine) reload(id json.RawMessage) {
	problem := ""
	if err := e.takeOver(); err != nil {
		problem, _, _ = strings.Cut(err.Error(), ": old=") // The values that follow can be secrets.
	}
	e.gate.send(map[string]any{"type": "reloaded", "id": id, "problem": problem})
}

func (e *engine) takeOver() error {
	if e.hello.Authentication != byOperator {
		return errors.New("only the accounts of an operator can be reloaded")
	}
	opts, err := loadOptions(e.file, byOperator)
	if err == nil {
		err = applyHello(opts, e.hello, nil)
	}
	if err == nil {
		opts.Gateway.AuthTimeout = e.opts.Gateway.AuthTimeout // The library has chosen it without TLS: see newServer.
		err = e.srv.ReloadOptions(opts)
	}
	if err != nil {
		return err
	}
	leafnodes, err := e.srv.Leafz(nil)
	if err != nil {
		return err
	}
	// The library ends the clients of an account that is gone, and leaves its leafnodes in what is left of it.
	for _, leafnode := range leafnodes.Leafs {
		if _, err := e.srv.LookupAccount(leafnode.Account); err != nil {
			e.srv.DisconnectClientByID(leafnode.ID)
		}
	}
	return nil
}

// shutdown ends the server. The broker bounds how long that may take; when it is gone, lostTimeout does. A second
// signal ends the engine at once.
func (e *engine) shutdown(terminate <-chan os.Signal, signals int) (int, error) {
	e.gate.halt()
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
