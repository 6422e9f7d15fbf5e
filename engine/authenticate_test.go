package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func TestQuestionCarriesConnect(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	raw := dialRaw(t, e.ports["client"])
	asked := time.Now()
	raw.say(`CONNECT {"verbose":false,"user":"u","pass":"p","auth_token":"t","sig":"s","name":"n"}`)
	q := e.expect("question")
	deadline := time.UnixMilli(int64(q["deadline"].(float64)))
	if left := deadline.Sub(asked); left < 9*time.Second || left > 11*time.Second {
		t.Errorf("the deadline is in %s, want 10 s", left)
	}
	for field, want := range (frame{
		"id": 1.0, "connection": raw.info["client_id"], "kind": "client", "tls": "none", "address": "127.0.0.1",
		"nonce": raw.info["nonce"], "user": "u", "password": "p", "token": "t", "signature": "s", "name": "n",
	}) {
		if q[field] != want {
			t.Errorf("field %s is %v, want %v", field, q[field], want)
		}
	}
	for _, field := range []string{"jwt", "nkey", "certificate"} {
		if value, there := q[field]; there {
			t.Errorf("field %s is %v, want none", field, value)
		}
	}
	other := dialRaw(t, e.ports["client"])
	other.say(`CONNECT {}`)
	q = e.expect("question")
	for _, field := range []string{"user", "password", "token", "signature", "name"} {
		if value, there := q[field]; there {
			t.Errorf("field %s is %v, want none", field, value)
		}
	}
	if q["nonce"] == "" || q["nonce"] == raw.info["nonce"] {
		t.Errorf("nonce %v", q["nonce"])
	}
}

func TestAdmittedConnectionHasAccountAndName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options  []nats.Option
		username string
		shown    string
	}{
		"name of the verdict": {[]nats.Option{nats.UserInfo("sent", "p")}, "shown", "shown"},
		"name besides token":  {[]nats.Option{nats.Token("secret-token")}, "shown", "shown"},
		"token without name":  {[]nats.Option{nats.Token("secret-token")}, "", "token"},
		"nothing":             {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, plainConfig, nil)
			client := e.connect(e.url("client"), c.options...)
			e.send(allowing(e.expect("question"), frame{"account": "other", "username": c.username}))
			client.in()
			connz, err := e.srv.Connz(&server.ConnzOptions{Username: true, Account: "other"})
			if err != nil || len(connz.Conns) != 1 {
				t.Fatalf("got %+v, %v", connz, err)
			}
			if got := connz.Conns[0].AuthorizedUser; got != c.shown {
				t.Errorf("shown as %q, want %q", got, c.shown)
			}
			e.expectNothing()
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes frame
		why     cause // none: the broker's own decision
	}{
		"denied":                    {frame{"allow": false}, causeNone},
		"denied by older policy":    {frame{"allow": false, "generation": 6}, causeNone},
		"unknown account":           {frame{"account": "nobody"}, causeUnknownAccount},
		"global account":            {frame{"account": "$G"}, causeUnknownAccount},
		"no account":                {frame{"account": ""}, causeMalformed},
		"stale generation":          {frame{"generation": 6}, causeStaleGeneration},
		"empty allow list":          {frame{"permissions": limits(frame{"publish.allow": []string{}})}, causeMalformed},
		"invalid subject":           {frame{"permissions": limits(frame{"subscribe.deny": []string{"a..b"}})}, causeMalformed},
		"allow is not there":        {frame{"allow": absent}, causeMalformed},
		"permissions are not there": {frame{"permissions": absent}, causeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, plainConfig, nil)
			client := e.connect(e.url("client"), nats.Token("t"))
			q := e.expect("question")
			e.send(allowing(q, c.changes))
			client.refused()
			if c.why != causeNone {
				refusal := e.expectRefusal(c.why, q["id"])
				if refusal["connection"] != q["connection"] || refusal["address"] != "127.0.0.1" {
					t.Errorf("got %v for question %v", refusal, q)
				}
			}
			eventually(t, "the connection is closed", func() bool { return e.srv.NumClients() == 0 })
			e.expectNothing()
			eventually(t, "nobody is in the library's own account", func() bool { return e.srv.GlobalAccount().NumConnections() == 0 })
			// The engine is as good as before.
			client = e.connect(e.url("client"))
			e.send(allowing(e.expect("question")))
			client.in()
		})
	}
}

func TestNoAnswerIsARefusal(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"answer_within_ms": 100})
	start := time.Now()
	client := e.connect(e.url("client"))
	q := e.expect("question")
	client.refused()
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("refused after %s already", took)
	}
	e.expectRefusal(causeTimeout, q["id"])
	e.send(allowing(q))
	eventually(t, "the late answer is ignored", func() bool { return e.gate.ignored.Load() == 1 })
}

func TestTooManyQuestionsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_questions": 2})
	first, second := e.connect(e.url("client")), e.connect(e.url("client"))
	one, two := e.expect("question"), e.expect("question")
	e.connect(e.url("client")).refused()
	e.expectRefusal(causeOverflow, 0.0)
	e.send(allowing(one))
	e.send(allowing(two))
	first.in()
	second.in()
}

func TestNewGenerationMakesOpenQuestionsStale(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	client := e.connect(e.url("client"))
	q := e.expect("question")
	e.send(frame{"type": "generation", "generation": 8})
	e.send(allowing(q))
	client.refused()
	e.expectRefusal(causeStaleGeneration, q["id"])
	client = e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"generation": 8}))
	client.in()
}

func TestClientThatIsGoneBeforeItsVerdict(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	client := e.connect(e.url("client"))
	q := e.expect("question")
	if err := e.srv.DisconnectClientByID(uint64(q["connection"].(float64))); err != nil {
		t.Fatal(err)
	}
	e.send(allowing(q))
	e.expectRefusal(causeGone, q["id"])
	client.wait()
	if client.err == nil {
		t.Error("the client got in")
	}
	if e.gate.open() != 0 {
		t.Error("its question is still open")
	}
}

func TestClientThatHangsUpLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	raw := dialRaw(t, e.ports["client"])
	raw.say(`CONNECT {"verbose":false}`)
	q := e.expect("question")
	raw.Close()
	e.send(allowing(q))
	eventually(t, "the connection is gone", func() bool { return e.srv.NumClients() == 0 && e.gate.open() == 0 })
}

func TestAccountThatTakesNoMoreConnections(t *testing.T) {
	t.Parallel()
	e := startEngine(t, strings.Replace(plainConfig, "other {}", "other { limits { max_connections: 1 } }", 1), nil)
	first := e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"account": "other"}))
	first.in()
	second := e.connect(e.url("client"))
	q := e.expect("question")
	e.send(allowing(q, frame{"account": "other"}))
	e.expectRefusal(causeRegistration, q["id"])
	second.wait()
	if second.err == nil {
		t.Error("the client got in")
	}
}

func TestConnectionIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	raw := dialRaw(t, e.ports["client"])
	raw.say(`CONNECT {"verbose":true,"auth_token":"t"}`)
	e.send(allowing(e.expect("question")))
	if got := raw.line(); got != "+OK" {
		t.Fatalf("got %q", got)
	}
	raw.say(`CONNECT {"verbose":true}`)
	e.expectRefusal(causeRegistration, 0.0)
	if got := raw.line(); got != "-ERR 'Authorization Violation'" {
		t.Errorf("got %q", got)
	}
}

func TestNkeyAndAccountInConnectAreRefusedUnasked(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	for _, field := range []string{`"nkey":"somebody-else"`, `"account":"choria"`, `"account":"new","new_account":true`} {
		raw := dialRaw(t, e.ports["client"])
		raw.say(`CONNECT {"verbose":false,` + field + `}`)
		e.expectRefusal(causeRegistration, 0.0)
		if got := raw.line(); got != "-ERR 'Authorization Violation'" {
			t.Errorf("got %q for %s", got, field)
		}
	}
}

func TestNobodyGetsInWithoutConnect(t *testing.T) {
	t.Parallel()
	noAuthUser := `
		listen: "127.0.0.1:-1"
		accounts { choria { users [ {user: guest, password: guest} ] } }
		no_auth_user: guest`
	// With nothing but a system account the library makes up a no_auth_user by itself.
	onlySystem := `
		listen: "127.0.0.1:-1"
		accounts { system {} }
		system_account: system`
	for name, config := range map[string]string{"plain": plainConfig, "no_auth_user": noAuthUser, "system": onlySystem} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, config, nil)
			raw := dialRaw(t, e.ports["client"])
			raw.say("PING")
			if got := raw.line(); got != "-ERR 'Authorization Violation'" {
				t.Errorf("got %q", got)
			}
			raw = dialRaw(t, e.ports["client"])
			raw.say(`CONNECT {"verbose":true,"user":"guest","pass":"guest"}`)
			e.send(allowing(e.expect("question"), frame{"allow": false}))
			if got := raw.line(); got != "-ERR 'Authorization Violation'" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestNoPingBeforeTheVerdict(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	raw := dialRaw(t, e.ports["client"])
	raw.say(`CONNECT {"verbose":true}`)
	q := e.expect("question")
	// The library's first PING would come two seconds after CONNECT.
	raw.SetReadDeadline(time.Now().Add(2500 * time.Millisecond))
	if line, err := raw.reader.ReadString('\n'); err == nil {
		t.Fatalf("the waiting client was sent %q", line)
	}
	raw.SetReadDeadline(time.Now().Add(patience))
	e.send(allowing(q))
	if got := raw.line(); got != "+OK" {
		t.Errorf("got %q", got)
	}
}

func TestSystemUserCannotHaveTheFileReadAgain(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	client := e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"account": "system"}))
	answer, err := client.in().Request("$SYS.REQ.SERVER."+e.srv.ID()+".RELOAD", nil, patience)
	if err != nil || !strings.Contains(string(answer.Data), "can only reload config when a file is provided") {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, frame{"max_questions": 1000})
	const clients = 200
	go func() {
		for range clients {
			select {
			case q := <-e.frames:
				e.send(allowing(q, frame{"username": q["name"]}))
			case <-time.After(patience):
				return
			}
		}
	}()
	all := make([]*connecting, clients)
	for i := range all {
		all[i] = e.connect(e.url("client"), nats.Name(fmt.Sprintf("client-%d", i)))
	}
	for _, client := range all {
		client.in()
	}
	connz, err := e.srv.Connz(&server.ConnzOptions{Username: true, Limit: clients})
	if err != nil || len(connz.Conns) != clients {
		t.Fatalf("got %d connections, %v", len(connz.Conns), err)
	}
	for _, conn := range connz.Conns {
		if conn.AuthorizedUser != conn.Name {
			t.Errorf("%s got the verdict of %s", conn.Name, conn.AuthorizedUser)
		}
	}
}

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

// fakeClient stands in for the library's connection where that cannot be made to fail.
type fakeClient struct {
	perms     *fakePerms       // the authenticator looks into this
	user      *server.NkeyUser // and this
	opts      server.ClientOpts
	account   *server.Account
	refuse    error
	registers func(*fakeClient)
	panics    any
}

type fakePerms struct{ pub, sub fakePerm }
type fakePerm struct{ allow, deny *fakeList }
type fakeList struct{ count uint32 }

func (c *fakeClient) GetOpts() *server.ClientOpts                 { return &c.opts }
func (c *fakeClient) GetTLSConnectionState() *tls.ConnectionState { return nil }
func (c *fakeClient) GetNonce() []byte                            { return nil }
func (c *fakeClient) Kind() int                                   { return server.CLIENT }
func (c *fakeClient) GetID() uint64                               { return 5 }
func (c *fakeClient) RegisterUser(u *server.User)                 { c.opts.Username = u.Username }
func (c *fakeClient) Account() *server.Account                    { return c.account }
func (c *fakeClient) RemoteAddress() net.Addr {
	if c.panics != nil {
		panic(c.panics)
	}
	return &net.TCPAddr{IP: net.IPv6loopback, Port: 1}
}

func (c *fakeClient) RegisterNkeyUser(user *server.NkeyUser) error {
	if c.refuse != nil {
		return c.refuse
	}
	c.account, c.user = user.Account, user
	if c.registers != nil {
		c.registers(c)
	}
	return nil
}

// unregistrable has only what the library's interface for authenticators promises.
type unregistrable struct{ server.ClientAuthentication }

func TestFaultsInTheLibraryAreRefusals(t *testing.T) {
	t.Parallel()
	account, other := server.NewAccount("choria"), server.NewAccount("other")
	limited := frame{"permissions": limits(frame{"publish.allow": []string{"a", "b"}, "subscribe.deny": []string{"c"}})}
	list := func(n uint32) *fakeList { return &fakeList{n} }
	good := func() *fakePerms { return &fakePerms{fakePerm{list(2), nil}, fakePerm{nil, list(1)}} }
	set := func(perms *fakePerms) *fakeClient {
		return &fakeClient{registers: func(c *fakeClient) { c.perms = perms }}
	}
	for name, c := range map[string]struct {
		client  server.ClientAuthentication
		changes frame
		why     cause
	}{
		"good":              {&fakeClient{}, nil, causeNone},
		"good with limits":  {set(good()), limited, causeNone},
		"again":             {&fakeClient{user: &server.NkeyUser{}}, nil, causeRegistration},
		"no methods":        {unregistrable{&fakeClient{}}, nil, causeRegistration},
		"bad account":       {&fakeClient{refuse: server.ErrBadAccount}, nil, causeRegistration},
		"closed":            {&fakeClient{refuse: server.ErrConnectionClosed}, nil, causeGone},
		"other account":     {&fakeClient{registers: func(c *fakeClient) { c.account = other }}, nil, causeRegistration},
		"limits not wanted": {set(good()), nil, causeRegistration},
		"limits not there":  {set(nil), limited, causeRegistration},
		"subject lost":      {set(&fakePerms{fakePerm{list(1), nil}, fakePerm{nil, list(1)}}), limited, causeRegistration},
		"allow list lost":   {set(&fakePerms{fakePerm{nil, nil}, fakePerm{nil, list(1)}}), limited, causeRegistration},
		"deny list lost":    {set(&fakePerms{fakePerm{list(2), nil}, fakePerm{nil, nil}}), limited, causeRegistration},
		"list too many":     {set(&fakePerms{fakePerm{list(2), list(1)}, fakePerm{nil, list(1)}}), limited, causeRegistration},
		"panic with error":  {&fakeClient{panics: fmt.Errorf("SECRET")}, nil, causePanic},
		"panic with text":   {&fakeClient{panics: "SECRET"}, nil, causePanic},
	} {
		t.Run(name, func(t *testing.T) {
			g, broker := startGate(t, nil)
			log := &logs{}
			a := &authenticator{gate: g, secret: sha256.Sum256(nil), errorf: log.Errorf,
				account: func(string) (*server.Account, error) { return account, nil }}
			allowed := make(chan bool, 1)
			go func() { allowed <- a.Check(c.client) }()
			for f := receive(t, broker.frames); ; f = receive(t, broker.frames) {
				if f["type"] == "refusal" {
					if f["cause"] != string(c.why) {
						t.Errorf("refused for %v, want %q", f["cause"], c.why)
					}
					break
				}
				if f["address"] != "::1" {
					t.Errorf("address %v", f["address"])
				}
				broker.send(allowing(f, c.changes))
				if c.why == causeNone {
					break
				}
			}
			if got := receive(t, allowed); got != (c.why == causeNone) {
				t.Errorf("allowed: %t", got)
			}
			if strings.Contains(log.String(), "SECRET") || (c.why != causeNone && c.why != causeGone && log.String() == "") {
				t.Errorf("log: %q", log)
			}
		})
	}
}

func TestGenerationThatMovesDuringRegistration(t *testing.T) {
	t.Parallel()
	g, broker := startGate(t, nil)
	account := server.NewAccount("choria")
	a := &authenticator{gate: g, errorf: t.Logf, account: func(string) (*server.Account, error) { return account, nil }}
	client := &fakeClient{registers: func(*fakeClient) { g.generation.Store(8) }}
	allowed := make(chan bool, 1)
	go func() { allowed <- a.Check(client) }()
	q := broker.expect("question")
	broker.send(allowing(q))
	if receive(t, allowed) {
		t.Error("let in by an old policy")
	}
	broker.expectRefusal(causeStaleGeneration, q["id"])
}

func TestPeerAddress(t *testing.T) {
	t.Parallel()
	_, pipe := net.Pipe()
	for want, address := range map[string]net.Addr{
		"192.0.2.1":   &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4222},
		"192.0.2.2":   text("[::ffff:192.0.2.2]:4222"),
		"192.0.2.3":   text("[::ffff:192.0.2.3%eth0]:4222"),
		"2001:db8::1": text("[2001:db8:0::1]:4222"),
		"fe80::1":     &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 4222, Zone: "eth0"},
	} {
		if got := peerAddress(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	for _, address := range []net.Addr{nil, pipe.RemoteAddr(), text(""), text("somewhere:4222"), text("192.0.2.1")} {
		if got := peerAddress(address); got != "" {
			t.Errorf("%v: got %q", address, got)
		}
	}
}

// text is an address known by its text alone.
type text string

func (text) Network() string  { return "tcp" }
func (a text) String() string { return string(a) }
