package main

import (
	"fmt"
	"net"
	"strings"
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
		"id": 1.0, "connection_id": raw.info["client_id"], "kind": "client", "tls": "none", "address": "127.0.0.1",
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
				if refusal["connection_id"] != q["connection_id"] || refusal["address"] != "127.0.0.1" {
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

// TestNewGenerationAsksOpenQuestionsAgain wants nobody refused for a reload, and nobody let in by what is no longer so.
func TestNewGenerationAsksOpenQuestionsAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes frame
		why     cause
		in      bool
	}{
		"the same":           {frame{"generation": 8}, causeNone, true},
		"refused":            {frame{"generation": 8, "allow": false}, causeNone, false},
		"another account":    {frame{"generation": 8, "account": "other"}, causeStaleGeneration, false},
		"fewer rights":       {frame{"generation": 8, "permissions": limits(nil)}, causeStaleGeneration, false},
		"the old generation": {frame{"generation": 7}, causeStaleGeneration, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, plainConfig, nil)
			client := e.connect(e.url("client"))
			q := e.expect("question")
			e.send(frame{"type": "generation", "generation": 8})
			e.send(allowing(q))
			again := e.expect("question")
			if again["connection"] != q["connection"] || again["nonce"] != q["nonce"] || again["id"] == q["id"] {
				t.Errorf("asked %v, then %v", q, again)
			}
			e.send(allowing(again, c.changes))
			if c.in {
				client.in()
			} else {
				client.refused()
			}
			if c.why != causeNone {
				e.expectRefusal(c.why, again["id"])
			}
			e.expectNothing()
		})
	}
}

func TestClientThatIsGoneBeforeItsVerdict(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	client := e.connect(e.url("client"))
	q := e.expect("question")
	if err := e.srv.DisconnectClientByID(uint64(q["connection_id"].(float64))); err != nil {
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
