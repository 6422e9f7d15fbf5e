package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// builtEngine builds the engine as the package does, once.
var builtEngine = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "engine")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=9.8.7", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtEngine(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := builtEngine()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// process is the real engine with a fake broker.
type process struct {
	*fakeBroker
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	exited chan struct{}
}

func startProcess(t *testing.T, config string, args ...string) *process {
	t.Helper()
	return startProcessLogging(t, config, nil, args...)
}

// startProcessLogging starts the engine with a standard error of its own.
func startProcessLogging(t *testing.T, config string, stderr *os.File, args ...string) *process {
	t.Helper()
	conn, file := socketPair(t)
	p := &process{
		fakeBroker: newFakeBroker(t, conn), stderr: &bytes.Buffer{}, exited: make(chan struct{}),
		cmd: command(t, append([]string{"--config", writeFile(t, "nats.conf", config), "--gate-fd", "3"}, args...)...),
	}
	p.cmd.ExtraFiles, p.cmd.Stderr = []*os.File{file}, p.stderr
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	go func() {
		defer close(p.exited)
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

func startReadyProcess(t *testing.T, config string, args ...string) (*process, map[string]any) {
	t.Helper()
	p := startProcess(t, config, args...)
	p.send(validHello())
	p.expect("hello")
	return p, p.expect("ready")["ports"].(map[string]any)
}

// exits waits for the end and wants the code and the text on the standard error.
func (p *process) exits(code int, text string) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the engine runs on")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code || !strings.Contains(p.stderr.String(), text) {
		p.t.Errorf("exit code %d, want %d and %q on the standard error, which is:\n%s", got, code, text, p.stderr)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	output, err := command(t, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if json.Unmarshal(output, &got) != nil || bytes.Count(output, []byte("\n")) != 1 {
		t.Fatalf("got %q", output)
	}
	if got["engine"] != "9.8.7" || got["nats"] != server.VERSION || got["protocol"] != float64(protocolVersion) {
		t.Errorf("got %s", output)
	}
}

func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--nonsense"}, {"--config", "x", "more"}, {"--config", "x", "--gate-fd", "three"}} {
		var exit *exec.ExitError
		if err := command(t, args...).Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%v: got %v", args, err)
		}
	}
	if err := command(t, "--help").Run(); err != nil {
		t.Errorf("--help: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	ca.issue("other")
	mixed := strings.Replace(ca.tlsBlock(""), "server.key", "other.key", 1)
	store := filepath.Join(t.TempDir(), "store")
	for name, c := range map[string]struct {
		config string
		want   string // on the standard error; empty: all is well
	}{
		"good":              {plainConfig, ""},
		"good TLS":          {tlsConfig(ca.tlsBlock(ca.caFile())), ""},
		"good JetStream":    {plainConfig + fmt.Sprintf("jetstream { store_dir: %q }", store), ""},
		"no syntax":         {"listen: {", "nats.conf"},
		"unknown setting":   {"lisen: 4222", "lisen"},
		"no such file":      {strings.Replace(plainConfig+ca.tlsBlock(""), "server.pem", "nobody.pem", 1), "nobody.pem"},
		"keys do not match": {plainConfig + mixed, "private key does not match"},
		"options clash":     {"max_payload: 8MB, max_pending: 1MB", "max_payload"},
		"websocket no TLS":  {`websocket { listen: "127.0.0.1:-1" }`, "TLS"},
		"leafnode users":    {`leafnodes { listen: "127.0.0.1:-1", authorization { user: u, password: p } }`, "'authorization' in 'leafnodes'"},
		"leafnode list":     {`leafnodes { listen: "127.0.0.1:-1", authorization { users: [ {user: u, password: p} ] } }`, "'authorization' in 'leafnodes'"},
		"resolver":          {"resolver: MEMORY", "'resolver'"},
		"operator":          {newOperator(t, "ACME").config("", "ACME"), ""},
		"no memory":         {strings.Replace(newOperator(t).config(""), "MEMORY", "URL(http://127.0.0.1:1/)", 1), "'resolver: MEMORY'"},
		"open operator":     {newOperator(t).config("default_sentinel: x"), "'default_sentinel'"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			check := command(t, "--config", writeFile(t, "nats.conf", c.config), "--check")
			check.Stdout, check.Stderr = &stdout, &stderr
			check.Run()
			if code := check.ProcessState.ExitCode(); (code == 0) != (c.want == "") || code > 1 {
				t.Errorf("exit code %d: %s", code, &stderr)
			}
			if stdout.Len() > 0 || (c.want == "") != (stderr.Len() == 0) || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("standard output %q, standard error %q, want %q", &stdout, &stderr, c.want)
			}
			if strings.Contains(stderr.String(), "goroutine") {
				t.Errorf("a trace: %s", &stderr)
			}
		})
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("the check has made the store")
	}
	if output, err := command(t, "--config", "/nowhere/nats.conf", "--check").CombinedOutput(); err == nil || !bytes.Contains(output, []byte("/nowhere/nats.conf")) {
		t.Errorf("no file: %v, %s", err, output)
	}
}

func TestWrongHelloEndsTheEngine(t *testing.T) {
	t.Parallel()
	hello := validHello()
	hello["protocol"] = 1
	p := startProcess(t, plainConfig)
	p.send(hello)
	p.exits(1, "version 1 of the protocol")
	if lines := strings.Count(p.stderr.String(), "\n"); lines != 1 {
		t.Errorf("%d lines on the standard error:\n%s", lines, p.stderr)
	}
	p = startProcess(t, plainConfig)
	p.conn.Close()
	p.exits(1, "the broker closed the gate")
}

func TestProtocolErrorEndsTheEngine(t *testing.T) {
	t.Parallel()
	p, _ := startReadyProcess(t, plainConfig)
	p.text("nonsense")
	p.exits(1, "gate protocol error")
}

func TestEndOfFileEndsTheEngineWithOpenQuestions(t *testing.T) {
	t.Parallel()
	p, ports := startReadyProcess(t, plainConfig)
	start := time.Now()
	raw := dialRaw(t, int(ports["client"].(float64)))
	raw.say(`CONNECT {"verbose":true}`)
	p.expect("question")
	p.conn.Close()
	p.exits(0, "closed the gate")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the end took %s: it waited for the question", took)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	p, ports := startReadyProcess(t, plainConfig)
	for _, ignored := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2} {
		p.cmd.Process.Signal(ignored)
	}
	client := (&testEngine{fakeBroker: p.fakeBroker}).connect(fmt.Sprintf("nats://127.0.0.1:%v", ports["client"]), nats.Name("after"))
	p.send(allowing(p.expect("question")))
	client.in()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.exits(0, "Server Exiting")
}

func TestWrongParentEndsTheEngine(t *testing.T) {
	t.Parallel()
	p := startProcess(t, plainConfig, "--parent-pid", "999999")
	p.exits(1, "the broker (process 999999) is gone")
}

// TestEngineDiesWithItsParent has a shell start the engine and die while the gate stays open.
func TestEngineDiesWithItsParent(t *testing.T) {
	t.Parallel()
	conn, file := socketPair(t)
	broker := newFakeBroker(t, conn)
	engine := command(t, "--config", writeFile(t, "nats.conf", plainConfig), "--gate-fd", "3")
	shell := exec.Command("sh", "-c", `"$0" "$@" & wait`, engine.Path)
	shell.Args = append(shell.Args, engine.Args[1:]...)
	shell.ExtraFiles = []*os.File{file}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	broker.send(validHello())
	broker.expect("hello")
	broker.expect("ready")
	shell.Process.Kill()
	shell.Wait()
	select {
	case f, open := <-broker.frames:
		if open {
			t.Errorf("got frame %v", f)
		}
	case <-time.After(patience):
		t.Error("the engine outlives its parent")
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	e, err := prepareEngine(t, plainConfig, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The shutdown waits for connections that authenticate, so one that never gets through it holds it up.
	held, hold := make(chan struct{}), make(chan struct{})
	e.opts.CustomClientAuthentication = checkFunc(func() bool { close(held); <-hold; return false })
	defer close(hold)
	e.srv.Start()
	raw := dialRaw(t, e.srv.Addr().(*net.TCPAddr).Port)
	raw.say(`CONNECT {"verbose":true}`)
	receive(t, held)
	terminate, code := make(chan os.Signal), make(chan int, 1)
	go func() {
		got, _ := e.shutdown(terminate, 1)
		code <- got
	}()
	terminate <- syscall.SIGTERM
	if got := receive(t, code); got != 1 {
		t.Errorf("exit code %d", got)
	}
}

type checkFunc func() bool

func (f checkFunc) Check(server.ClientAuthentication) bool { return f() }
