// Command engine is the nats-server library with two additions: optional client certificates, and the gate, on
// which every new connection is put to the broker that started it. It holds no policy.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// version is set by the build: -ldflags "-X main.version=...".
var version = "development"

func init() {
	// The parent-death signal belongs to the thread that asked for it and is lost with it. The main thread stays.
	runtime.LockOSThread()
}

func main() {
	stderr := newJournal(os.Stderr)
	log.SetOutput(stderr) // Where parts of the standard library complain.
	log.SetFlags(0)
	code := run(os.Args[1:], os.Stdout, stderr)
	stderr.flush(lastWords)
	os.Exit(code)
}

// run returns the exit code: 0 after an orderly end, 1 after a failure, 2 for a wrong command line.
func run(args []string, stdout io.Writer, stderr *journal) int {
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "", "configuration `file` in the format of nats-server")
	gateFD := flags.Int("gate-fd", -1, "inherited `descriptor` of the gate to the broker")
	pagesFD := flags.Int("pages-fd", -1, "inherited listening `descriptor` for the monitoring pages; without it there are none")
	bridgeFD := flags.Int("bridge-fd", -1, "inherited listening `descriptor` for the broker's own connections")
	keysFD := flags.Int("keys-fd", -1, "inherited `descriptor` of the socket to the processes that hold private keys")
	parent := flags.Int("parent-pid", 0, "process `id` of the broker; the engine ends when that is not its parent")
	check := flags.Bool("check", false, "check the configuration file and exit")
	showVersion := flags.Bool("version", false, "print versions as JSON and exit")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // The flag set has said why.
	case flags.NArg() > 0 || *config == "" && !*showVersion:
		fmt.Fprintln(stderr, "engine: --config FILE is needed, and nothing but options is taken")
		return 2
	case *showVersion:
		json.NewEncoder(stdout).Encode(map[string]any{"engine": version, "nats": server.VERSION, "protocol": protocolVersion})
		return 0
	case *check:
		if err := checkOptions(*config); err != nil {
			fmt.Fprintf(stderr, "engine: %v\n", err)
			return 1
		}
		return 0
	}
	code, err := serve(*config, *gateFD, *keysFD, *parent, stderr, func() (inherited, error) { return inherit(*pagesFD, *bridgeFD) })
	if err != nil {
		stderr.log("FTL", "%v", []any{err})
	}
	return code
}

// serve runs the server until a signal, the loss of the gate or a failure.
func serve(config string, gateFD, keysFD, parent int, log *journal, inherit func() (inherited, error)) (int, error) {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2)
	terminate := make(chan os.Signal, 2)
	signal.Notify(terminate, syscall.SIGTERM)
	if err := followParent(parent); err != nil {
		return 1, err
	}
	conn, err := openGate(gateFD)
	if err != nil {
		return 1, err
	}
	reader := bufio.NewReaderSize(conn, 1<<16)
	hello, err := shakeHands(conn, reader, version, helloTimeout)
	if err != nil {
		return 1, err
	}
	keys, err := openKeyProcesses(keysFD)
	if err != nil {
		return 1, err
	}
	e, err := newEngine(config, conn, hello, keys, log)
	if err != nil {
		return 1, err
	}
	if e.inherited, err = inherit(); err != nil {
		return 1, err
	}
	e.names.follow(net.DefaultResolver)
	go e.gate.read(reader)
	go e.gate.write()
	go e.gate.tellLosses(lossesEvery)
	return e.live(terminate)
}

// followParent has the kernel end the engine with the broker, and makes sure that it has not gone already.
func followParent(pid int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot ask for a signal at the end of the broker: %w", err)
	}
	if pid != 0 && os.Getppid() != pid {
		return fmt.Errorf("the broker (process %d) is gone", pid)
	}
	return nil
}
