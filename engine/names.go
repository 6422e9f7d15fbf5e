package main

import (
	"context"
	"errors"
	"net"
	"sync"
)

// lookups are the questions to name servers that are under way. The library waits at its end for whoever looks up a name,
// which takes ten seconds and more when name servers do not answer; so the end cuts them short.
type lookups struct {
	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

var errEnding = errors.New("the engine ends")

// follow has everything in this process that looks up names do it here.
func (l *lookups) follow(resolver *net.Resolver) {
	l.open = map[net.Conn]struct{}{}
	resolver.PreferGo, resolver.Dial = true, l.dial
}

// dial is the resolver's way to a name server.
func (l *lookups) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		conn.Close()
		return nil, errEnding
	}
	l.open[conn] = struct{}{}
	done := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, conn)
	}
	// The resolver tells by the type whether answers are packets.
	if packets, ok := conn.(*net.UDPConn); ok {
		return &packetLookup{packets, done}, nil
	}
	return &streamLookup{conn, done}, nil
}

// end has every look-up fail, those under way and those to come.
func (l *lookups) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for conn := range l.open {
		conn.Close()
	}
}

type packetLookup struct {
	*net.UDPConn
	done func()
}

func (p *packetLookup) Close() error {
	p.done()
	return p.UDPConn.Close()
}

type streamLookup struct {
	net.Conn
	done func()
}

func (s *streamLookup) Close() error {
	s.done()
	return s.Conn.Close()
}
