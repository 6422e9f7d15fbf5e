package main

import (
	"context"
	"net"
	"testing"
	"time"
)

// TestTheEndCutsLookupsShort asks a name server that hears and says nothing.
func TestTheEndCutsLookupsShort(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var names lookups
	resolver := &net.Resolver{}
	names.follow(resolver)
	ask := resolver.Dial
	resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return ask(ctx, network, silent.LocalAddr().String())
	}
	failed := make(chan error, 1)
	go func() {
		_, err := resolver.LookupHost(context.Background(), "host.of.nobody.test.")
		failed <- err
	}()
	if _, _, err := silent.ReadFrom(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	names.end()
	if err := receive(t, failed); err == nil {
		t.Error("an address from nobody")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := resolver.LookupHost(context.Background(), "another.of.nobody.test."); err == nil {
		t.Error("an address after the end")
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	if left := len(names.open); left != 0 {
		t.Errorf("%d look-ups are left", left)
	}
}

// TestAnswersOfNameServersArrive over both kinds of connection.
func TestAnswersOfNameServersArrive(t *testing.T) {
	t.Parallel()
	var names lookups
	names.follow(&net.Resolver{})
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	for network, address := range map[string]string{"udp": packets.LocalAddr().String(), "tcp": streams.Addr().String()} {
		conn, err := names.dial(context.Background(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, packet := conn.(net.PacketConn); packet != (network == "udp") {
			t.Errorf("%s: %T", network, conn)
		}
		conn.Close()
	}
	if len(names.open) != 0 {
		t.Errorf("%d are left", len(names.open))
	}
}
