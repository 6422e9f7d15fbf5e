package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// logs is a logger that keeps what it is told.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

func (l *logs) Noticef(format string, args ...any) { l.note(format, args...) }
func (l *logs) Warnf(format string, args ...any)   { l.note(format, args...) }
func (l *logs) Fatalf(format string, args ...any)  { l.note(format, args...) }
func (l *logs) Errorf(format string, args ...any)  { l.note(format, args...) }
func (l *logs) Debugf(format string, args ...any)  { l.note(format, args...) }
func (l *logs) Tracef(format string, args ...any)  { l.note(format, args...) }

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+"debug: true\ntrace: true\nhttp: \"127.0.0.1:-1\"\n", nil)
	log := &logs{}
	e.srv.SetLoggerV2(log, e.opts.Debug, e.opts.Trace, e.opts.TraceVerbose)
	for _, allow := range []bool{true, false} {
		for _, config := range []string{
			`{"verbose":true,"auth_token":"SECRET","jwt":"SECRET","sig":"SECRET"}`,
			`{"verbose":true,"user":"me","pass":"SECRET"}`,
			`{"auth_token":"SECRET","padding":"` + strings.Repeat("x", 5000) + `"}`,
			`{"auth_token":"SECRET",`,
		} {
			raw := dialRaw(t, e.ports["client"])
			raw.say("CONNECT " + config)
			if strings.Contains(config, "verbose") {
				e.send(allowing(e.expect("question"), frame{"allow": allow, "username": "", "account": "choria"}))
			}
			io.Copy(io.Discard, io.LimitReader(raw.reader, 3)) // Until the engine has acted.
			raw.Close()
		}
	}
	e.connect(e.url("bridge"), nats.Token("wrong-SECRET")).refused()
	e.expectRefusal(causeBridgeSecret, 0.0)
	bridged := e.connect(e.url("bridge"), nats.Token(testSecret))
	e.send(allowing(e.expect("question"), frame{"username": ""}))
	bridged.in()
	connz, err := e.srv.Connz(&server.ConnzOptions{Username: true, State: server.ConnAll})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"log": log.String(), "connz": fmt.Sprintf("%+v", connz.Conns)} {
		if len(text) == 0 {
			t.Errorf("the %s is empty", where)
		}
		for _, secret := range []string{"SECRET", testSecret} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s shows a secret: ...%s", where, text[max(0, i-150):i+len(secret)])
			}
		}
	}
}

const (
	secretToken = "eyJhbGciOiJFZERTQSJ9.eyJjYWxsZXJpZCI6IlNFQ1JFVCJ9.c2lnbmF0dXJl"
	secretSeed  = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
)

// showsNoSecret looks into the log and the library's page of connections.
func showsNoSecret(t *testing.T, e *testEngine, log *logs, when string) {
	t.Helper()
	connz, err := e.srv.Connz(&server.ConnzOptions{Username: true, Subscriptions: true, State: server.ConnAll})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := json.Marshal(connz)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"log": log.String(), "connz": string(pages)} {
		for _, secret := range []string{"SECRET", secretToken[:20], secretToken[len(secretToken)-10:], secretSeed[:20]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: the %s shows %s", when, where, secret)
			}
		}
	}
}

func TestWhatAPeerCallsItselfIsShownByTheVerdictOnly(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+"debug: true\n", nil)
	log := &logs{}
	e.srv.SetLoggerV2(log, true, false, false)
	check := func(when string) { t.Helper(); showsNoSecret(t, e, log, when) }
	for _, fields := range []string{
		`"user":"SECRET"`, `"user":"` + secretToken + `"`, `"user":"` + secretToken + `","pass":"SECRET"`, `"user":"SECRET","jwt":"SECRET"`,
		`"name":"` + secretToken + `"`, `"lang":"` + secretToken + `","version":"x ` + secretSeed + `"`, `"name":"nats://` + secretToken + `@host"`,
	} {
		for _, allow := range []bool{false, true} {
			raw := dialRaw(t, e.ports["client"])
			raw.say(`CONNECT {"verbose":true,` + fields + `}`)
			question := e.expect("question")
			check("asked " + fields)
			e.send(allowing(question, frame{"allow": allow, "username": "alice", "account": "choria"}))
			io.Copy(io.Discard, io.LimitReader(raw.reader, 3)) // Until the engine has acted.
			if allow {
				raw.say(`CONNECT {"verbose":true,"user":"SECRET","name":"` + secretToken + `"}`)
				e.expectRefusal(causeRegistration, 0.0)
			}
			raw.Close()
			check("after " + fields)
		}
	}
	for _, broken := range []string{
		`{"user":"SECRET","name":"SECRET","verbose":"yes"}`, `{"user":"SECRET","protocol":"x"}`, `{"user":"SECRET",`, `{"user":"SECRET"} x`,
	} {
		raw := dialRaw(t, e.ports["client"])
		raw.say("CONNECT " + broken)
		io.Copy(io.Discard, raw.reader)
		raw.Close()
		check(broken)
	}
}
