package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestEveryListenerIsReported(t *testing.T) {
	t.Parallel()
	p, ports := startReadyProcess(t, `
		listen: "127.0.0.1:-1"
		http: "127.0.0.1:-1"
		server_name: test
		logtime: false
		accounts { choria {}, system {} }
		system_account: system
		websocket { listen: "127.0.0.1:-1", no_tls: true }
		leafnodes { listen: "127.0.0.1:-1" }
		cluster { name: c, listen: "127.0.0.1:-1" }
		gateway { name: c, listen: "127.0.0.1:-1" }
		`, "--parent-pid", strconv.Itoa(os.Getpid()))
	for _, name := range []string{"client", "websocket", "leafnode", "cluster", "gateway"} {
		port, _ := ports[name].(float64)
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", int(port)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
		delete(ports, name)
	}
	if len(ports) > 0 {
		t.Errorf("other ports: %v", ports)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.exits(0, fmt.Sprintf("[%d] [INF] Server is ready", p.cmd.Process.Pid))
}

func TestOnlyWhatListensIsReported(t *testing.T) {
	t.Parallel()
	p, ports := startReadyProcess(t, plainConfig)
	if len(ports) != 1 || ports["client"] == nil {
		t.Errorf("got ports %v", ports)
	}
	p.conn.Close()
	p.exits(0, "closed the gate")
}

func TestStartFailuresNameTheirReason(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	file := writeFile(t, "file", "")
	for name, c := range map[string]struct{ config, want string }{
		"client":     {strings.Replace(plainConfig, "-1", port, 1), port},
		"websocket":  {plainConfig + `websocket { no_tls: true, listen: "127.0.0.1:` + port + `" }`, port},
		"leafnode":   {plainConfig + `leafnodes { listen: "127.0.0.1:` + port + `" }`, port},
		"cluster":    {plainConfig + `cluster { name: c, listen: "127.0.0.1:` + port + `" }`, port},
		"gateway":    {plainConfig + `gateway { name: g, listen: "127.0.0.1:` + port + `" }`, port},
		"monitoring": {plainConfig + `http: "127.0.0.1:` + port + `"`, port},
		"JetStream":  {plainConfig + fmt.Sprintf("jetstream { store_dir: %q }", file), "JetStream"},
		"file":       {"listen: {", "nats.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProcess(t, c.config)
			p.send(validHello())
			p.expect("hello")
			p.exits(1, c.want)
			if strings.Contains(p.stderr.String(), "goroutine") || !strings.Contains(p.stderr.String(), "[FTL]") {
				t.Errorf("standard error:\n%s", p.stderr)
			}
			if f, open := <-p.frames; open {
				t.Errorf("sent %v", f)
			}
		})
	}
}

func TestNothingListensBeforeTheHello(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	store := filepath.Join(t.TempDir(), "store")
	p := startProcess(t, strings.Replace(plainConfig, "-1", port, 1)+fmt.Sprintf("jetstream { store_dir: %q }", store))
	p.expect("hello")
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the client port is open")
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("the store is open")
	}
	p.send(validHello())
	p.expect("ready")
	if _, err := os.Stat(store); err != nil {
		t.Error(err)
	}
}
