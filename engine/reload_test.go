package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	optionalHello = frame{"optional_client_certificates": true}
	mappedHello   = frame{"optional_client_certificates": true, "mappings": [][2]string{{"a", "b"}}, "max_questions": 5000}
)

// linkedTwice starts a member of a cluster and a hub of leafnodes, and has a configuration with links to both.
func linkedTwice(t *testing.T, ca *authority) (base busy, remote, route string) {
	t.Helper()
	files := fmt.Sprintf("cert_file: %q, key_file: %q, ca_file: %q", ca.path("server.pem"), ca.path("server.key"), ca.path("ca.pem"))
	linked := "listen: \"127.0.0.1:-1\"\naccounts { choria {}, system {} }\nsystem_account: system\n"
	peer := startEngine(t, linked+fmt.Sprintf("server_name: peer\ncluster { name: A, listen: \"127.0.0.1:-1\", pool_size: -1, tls { %s, verify: true } }", files), nil)
	hub := answerAll(startEngine(t, linked+fmt.Sprintf("server_name: hub\nleafnodes { listen: \"127.0.0.1:-1\", tls { %s } }", files), optionalHello))
	remote = fmt.Sprintf("{ urls: [ \"tls://127.0.0.1:%d\" ], account: choria, tls { FILES } }", hub.ports["leafnode"])
	route = fmt.Sprintf("\"nats://127.0.0.1:%d\"", peer.ports["cluster"])
	base = busy{"MAXCONN": "5000", "MAXSUBS": "20000", "DEADLINE": `"5s"`, "DEBUG": "false", "ADVERTISE": `"one.example:4222"`, "AUTH": "5", "TLS": "FILES, timeout: 5",
		"FILES": files, "MAPPINGS": "a: b", "ACCOUNTS": "", "REMOTES": remote, "ROUTES": route}
	return base, remote, route
}

// dialMany connects so many, on two listeners, half of them with a certificate.
func dialMany(e *testEngine, ca *authority, client *tls.Certificate, count int) (conns []*nats.Conn) {
	for len(conns) < count {
		var dialed []*connecting
		for range 20 {
			i := len(conns) + len(dialed)
			address := strings.Replace(e.url([]string{"client", "websocket"}[i/100%2]), "ws:", "wss:", 1)
			options := []nats.Option{nats.Secure(always(client, ca))}
			if i%2 == 1 {
				options = []nats.Option{nats.Secure(always(nil, ca)), nats.Token(fmt.Sprintf("token %d", i))}
			}
			dialed = append(dialed, e.connect(address, options...))
		}
		for _, each := range dialed {
			conns = append(conns, each.in())
		}
	}
	return conns
}

// reloadStep is a change that a reload can apply: what is done to files before, the configuration, and what it cannot say.
type reloadStep struct {
	name   string
	before func()
	config busy
	hello  frame
}

func reloadSteps(base busy, remote, route string, newCertificate, furtherCA func()) []reloadStep {
	reordered := frame{"optional_client_certificates": true, "mappings": [][2]string{{"c.*", "d"}, {"a", "b"}}, "max_unauthenticated": 50}
	return []reloadStep{
		{"nothing", nil, base, mappedHello},
		{"a new certificate", newCertificate, base, mappedHello},
		{"a further CA", furtherCA, base, mappedHello},
		{"a mapping", nil, base.with("MAPPINGS", `a: b, "c.*": d`), reordered},
		{"no mapping", nil, base.with("MAPPINGS", ""), optionalHello},
		{"deadlines", nil, base.with("DEADLINE", `"9s"`, "AUTH", "6", "TLS", "FILES, timeout: 6"), mappedHello},
		{"a peer", nil, base.with("ROUTES", route+`, "nats://127.0.0.1:1"`), mappedHello},
		{"no such peer", nil, base, mappedHello},
		{"a leafnode remote", nil, base.with("REMOTES", remote+`, { urls: [ "nats://127.0.0.1:1" ], account: choria }`), mappedHello},
		{"no such remote", nil, base, mappedHello},
		{"fewer connections", nil, base.with("MAXCONN", "10"), mappedHello},
		{"subscriptions", nil, base.with("MAXSUBS", "100"), mappedHello},
		{"an account", nil, base.with("ACCOUNTS", "further {}"), mappedHello},
		{"no such account", nil, base, mappedHello},
		{"another address", nil, base.with("ADVERTISE", `"two.example:4222"`), mappedHello},
		{"debug", nil, base.with("DEBUG", "true"), mappedHello},
	}
}

// TestReloadDropsNobody has 500 busy connections and every kind of link go through the changes that a reload can apply.
func TestReloadDropsNobody(t *testing.T) {
	t.Parallel()
	ca, next := newAuthority(t, "authority"), newAuthority(t, "next authority")
	server, client := ca.issue("server"), ca.issue("client")
	var trusted []byte
	base, remote, route := linkedTwice(t, ca)
	e := answerAll(startEngine(t, base.String(), mappedHello))
	startLeaf(t, e.testEngine, always(&client, ca))

	conns := dialMany(e.testEngine, ca, &client, 500)
	eventually(t, "the links are there", func() bool { return len(links(t, e.srv)) == 3 })
	linked3 := links(t, e.srv)

	further := func() {
		for _, file := range []string{ca.path("ca.pem"), next.path("ca.pem")} {
			trusted = append(trusted, made(os.ReadFile(file))...)
		}
		if err := os.WriteFile(ca.path("ca.pem"), trusted, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	steps := reloadSteps(base, remote, route, func() { server = ca.issue("server") }, further)
	running := startTraffic(t, conns)
	for _, step := range steps {
		t.Log(step.name)
		if step.before != nil {
			step.before()
		}
		running.flowOn()
		e.reloads(step.config.String(), "", step.hello)
		running.flowOn()
		running.whole()
		running.flow()
		if now := links(t, e.srv); !slices.Equal(now, linked3) {
			t.Fatalf("links were %v and are %v", linked3, now)
		}
	}
	close(running.stop)
	<-running.ended
	stranger := next.issue("client")
	for _, listener := range []string{"client", "websocket"} {
		address := strings.Replace(e.url(listener), "ws:", "wss:", 1)
		if !bytes.Equal(shown(t, address, always(&stranger, ca)), server.Certificate[0]) {
			t.Errorf("%s shows another certificate", listener)
		}
	}
}

// TestReloadThatIsRefusedChangesNothing has broken files of every kind.
func TestReloadThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	first := ca.issue("server")
	ca.issue("other")
	config := tlsConfig(ca.tlsBlock(ca.caFile()))
	hello := frame{"optional_client_certificates": true}
	e := answerAll(startEngine(t, config, hello))
	client := e.connect(e.url("client"), nats.Secure(always(nil, ca))).in()
	certificate, key, authorities := made(os.ReadFile(ca.path("server.pem"))), made(os.ReadFile(ca.path("server.key"))), made(os.ReadFile(ca.path("ca.pem")))
	for name, c := range map[string]struct {
		file    string
		content []byte
		config  string
		hello   frame
		want    string
	}{
		"half a certificate":  {"server.pem", certificate[:len(certificate)/2], config, hello, "certificate/key pair"},
		"an empty key":        {"server.key", nil, config, hello, "certificate/key pair"},
		"another's key":       {"server.key", made(os.ReadFile(ca.path("other.key"))), config, hello, "certificate/key pair"},
		"swapped":             {"server.pem", key, config, hello, "certificate/key pair"},
		"half a CA":           {"ca.pem", authorities[:40], config, hello, "ca"},
		"no syntax":           {"", nil, "listen: {", hello, "nats.conf"},
		"another server name": {"", nil, strings.Replace(config, "server_name: test", "server_name: other", 1), hello, "not supported"},
		"nobody decides":      {"", nil, config, frame{"authentication": byOperator}, "restart"},
		"no hello":            {"", nil, config, frame{"max_questions": 0}, "max_questions"},
		"no origin":           {"", nil, config, frame{"websocket_origins": []string{"x"}, "optional_client_certificates": true}, "websocket_origins"},
	} {
		t.Log(name)
		if c.file != "" {
			if err := os.WriteFile(ca.path(c.file), c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e.reloads(c.config, c.want, c.hello)
		if !bytes.Equal(shown(t, e.url("client"), always(nil, ca)), first.Certificate[0]) {
			t.Error("another certificate")
		}
		for file, content := range map[string][]byte{"server.pem": certificate, "server.key": key, "ca.pem": authorities} {
			if err := os.WriteFile(ca.path(file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.FlushTimeout(patience); err != nil {
		t.Error(err)
	}
	e.reloads(config, "", hello)
}

// TestReloadThatNobodyWaitsForAnyMoreDoesNotHappen has orders whose time is over, as after an engine that stood still.
func TestReloadThatNobodyWaitsForAnyMoreDoesNotHappen(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	first := ca.issue("server")
	hello := frame{"optional_client_certificates": true}
	e := answerAll(startEngine(t, tlsConfig(ca.tlsBlock(ca.caFile())), hello))
	wanted := validHello()
	wanted["optional_client_certificates"] = true
	second := ca.issue("server")
	for _, order := range []frame{{"type": "reload", "hello": wanted}, {"type": "revoked", "revoked": ""}} {
		order["id"], order["deadline"] = 7, time.Now().UnixMilli()
		e.send(order)
		e.answers("too late")
	}
	if !bytes.Equal(shown(t, e.url("client"), always(nil, ca)), first.Certificate[0]) {
		t.Error("it happened")
	}
	e.send(frame{"type": "reload", "id": 7, "hello": wanted, "deadline": time.Now().Add(patience).UnixMilli()})
	e.answers("")
	if !bytes.Equal(shown(t, e.url("client"), always(nil, ca)), second.Certificate[0]) {
		t.Error("it did not happen")
	}
}

// TestReloadTakesAway has what a new file no longer allows end, and nothing else.
func TestReloadTakesAway(t *testing.T) {
	t.Parallel()
	config := func(accounts, more string) string {
		return strings.Replace(plainConfig, "other {}", accounts, 1) + fmt.Sprintf("jetstream { store_dir: %q }\nleafnodes { listen: \"127.0.0.1:-1\" }\n", t.TempDir()) + more
	}
	with := config("other { jetstream: enabled }", "")
	without := strings.Replace(with, "other { jetstream: enabled },", "", 1)
	e := startEngine(t, with, nil)
	enter := func(account string) *nats.Conn {
		client := e.connect(e.url("client"))
		e.send(allowing(e.expect("question"), frame{"account": account}))
		return client.in()
	}
	stays, goes := enter("choria"), enter("other")
	js := made(goes.JetStream())
	made(js.AddStream(&nats.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}}))
	made(js.Publish("kept", []byte("message")))
	startLeaf(t, e, nil)
	e.send(allowing(e.expect("question"), frame{"account": "other"}))
	eventually(t, "the leafnode is in", func() bool { return e.srv.NumLeafNodes() == 1 })
	e.reload(without, "")
	eventually(t, "who was in the account is out", func() bool { return goes.IsClosed() && e.srv.NumLeafNodes() == 0 })
	late := e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"account": "other"}))
	late.refused()
	e.expect("refusal")
	e.reload(with, "")
	info := made(made(enter("other").JetStream()).StreamInfo("KEPT"))
	if info.State.Msgs != 1 {
		t.Errorf("the stream has %d messages", info.State.Msgs)
	}
	e.reload("max_connections: 1\n"+with, "")
	full := e.connect(e.url("client"))
	full.wait()
	if full.err == nil {
		t.Error("there was a place beyond the limit")
	}
	if err := stays.FlushTimeout(patience); err != nil {
		t.Errorf("who was in before: %v", err)
	}
}

// TestReloadOfAuthorities has certificates of a CA that is gone refused, while who came with one stays.
func TestReloadOfAuthorities(t *testing.T) {
	t.Parallel()
	ca, next := newAuthority(t, "authority"), newAuthority(t, "next authority")
	ca.issue("server")
	old, fresh := ca.issue("client"), next.issue("client")
	hello := frame{"optional_client_certificates": true}
	config := tlsConfig(ca.tlsBlock(ca.caFile()))
	e := answerAll(startEngine(t, config, hello))
	for _, listener := range []string{"client", "websocket"} {
		address := strings.Replace(e.url(listener), "ws:", "wss:", 1)
		before := e.connect(address, nats.Secure(always(&old, ca))).in()
		e.reloads(strings.ReplaceAll(config, ca.path("ca.pem"), next.path("ca.pem")), "", hello)
		e.connect(address, nats.Secure(always(&fresh, ca))).in()
		late := e.connect(address, nats.Secure(always(&old, ca)))
		if late.wait(); late.err == nil {
			t.Errorf("%s takes a certificate of the CA that is gone", listener)
		}
		if err := before.FlushTimeout(patience); err != nil {
			t.Errorf("%s: %v", listener, err)
		}
		e.reloads(config, "", hello)
	}
}

// TestReloadOfLinks ends the links that a file no longer has, makes those that are new, and takes over the cluster's login.
func TestReloadOfLinks(t *testing.T) {
	t.Parallel()
	const head = "listen: \"127.0.0.1:-1\"\naccounts { choria {}, system {} }\nsystem_account: system\n"
	member := func(name, password string, more string) string {
		return head + fmt.Sprintf("server_name: %s\ncluster { name: A, listen: \"127.0.0.1:-1\", pool_size: -1, authorization { user: u, password: %s }, %s }", name, password, more)
	}
	peer, hub := startEngine(t, member("peer", "first", ""), nil), answerAll(startEngine(t, head+"server_name: hub\nleafnodes { listen: \"127.0.0.1:-1\" }", nil))
	routes := func(password string) string {
		return fmt.Sprintf("routes: [ \"nats://u:%s@127.0.0.1:%d\" ]", password, peer.ports["cluster"])
	}
	remotes := fmt.Sprintf("\nleafnodes { remotes [ { urls: [ \"nats://127.0.0.1:%d\" ], account: choria } ] }", hub.ports["leafnode"])
	e := startEngine(t, member("test", "first", ""), nil)
	linked := func(routes, leafs int) {
		t.Helper()
		eventually(t, "links", func() bool { return (e.srv.NumRoutes() > 0) == (routes > 0) && e.srv.NumLeafNodes() == leafs })
	}
	e.reload(member("test", "first", routes("first"))+remotes, "")
	linked(1, 1)
	peer.reload(member("peer", "second", ""), "")
	e.reload(member("test", "second", routes("second"))+remotes, "")
	linked(1, 1)
	e.reload(member("test", "second", "")+remotes, "")
	linked(0, 1)
	e.reload(member("test", "second", routes("first")), "")
	linked(0, 0)
	e.reload(member("test", "second", routes("second")), "")
	linked(1, 0)
}
