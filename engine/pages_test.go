package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pagesSocket makes a listening socket as the broker does and returns it with a client that asks it.
func pagesSocket(t *testing.T) (*os.File, *http.Client) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pages")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	return file, client
}

func TestPagesAreServedOnTheInheritedSocketOnly(t *testing.T) {
	t.Parallel()
	file, client := pagesSocket(t)
	conn, gate := socketPair(t)
	p := &process{fakeBroker: newFakeBroker(t, conn), exited: make(chan struct{})}
	p.cmd = command(t, "--config", writeFile(t, "nats.conf", plainConfig), "--gate-fd", "3", "--pages-fd", "4")
	p.cmd.ExtraFiles = []*os.File{gate, file}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.exited); p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.exited })
	p.send(validHello())
	p.expect("hello")
	if ports := p.expect("ready")["ports"].(map[string]any); len(ports) != 1 {
		t.Errorf("got ports %v", ports)
	}
	for _, page := range []string{"/", "/varz", "/connz", "/routez", "/gatewayz", "/leafz", "/subsz", "/subscriptionsz", "/stacksz",
		"/accountz", "/accstatz", "/jsz", "/healthz", "/ipqueuesz"} {
		answer, err := client.Get("http://engine" + page)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s answers with status %d", page, answer.StatusCode)
		}
	}
	answer, err := client.Get("http://engine/debug/vars")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("another page answers with status %d", answer.StatusCode)
	}
}

func TestInheritedSocketsAreOfTheRightKind(t *testing.T) {
	t.Parallel()
	file, err := os.Open(writeFile(t, "file", ""))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	for want, given := range map[string]*os.File{"is not a listening socket": file, "is not a Unix socket": socket} {
		fd, err := unix.Dup(int(given.Fd())) // It is the engine's then, which closes it.
		if err != nil {
			t.Fatal(err)
		}
		given.Close()
		if _, err := inherit(-1, fd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
}
