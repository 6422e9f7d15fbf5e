package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// testOperator is an operator with accounts.
type testOperator struct {
	t        testing.TB
	pair     nkeys.KeyPair
	accounts map[string]nkeys.KeyPair
	token    string // A token that is made again has another time in it, and the library takes it for another operator.
}

// made is for what cannot fail.
func made[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newOperator(t testing.TB, accounts ...string) *testOperator {
	o := &testOperator{t: t, pair: made(nkeys.CreateOperator()), accounts: map[string]nkeys.KeyPair{}}
	for _, name := range append(accounts, "SYS") {
		o.accounts[name] = made(nkeys.CreateAccount())
	}
	return o
}

func (o *testOperator) key(account string) string { return made(o.accounts[account].PublicKey()) }

// config serves the given accounts and SYS.
func (o *testOperator) config(more string, accounts ...string) string {
	if o.token == "" {
		claims := jwt.NewOperatorClaims(made(o.pair.PublicKey()))
		claims.Name = "OPS"
		o.token = made(claims.Encode(o.pair))
	}
	preload := ""
	for _, name := range append(accounts, "SYS") {
		account := jwt.NewAccountClaims(o.key(name))
		account.Name = name
		preload += fmt.Sprintf("%s: %s\n", o.key(name), made(account.Encode(o.pair)))
	}
	return fmt.Sprintf("listen: \"127.0.0.1:-1\"\nserver_name: test\noperator: %s\nresolver: MEMORY\nsystem_account: %s\nresolver_preload {\n%s}\n%s",
		o.token, o.key("SYS"), preload, more)
}

// user returns the token of a new user of an account, and signs nonces for it.
func (o *testOperator) user(account string) (string, func(nonce []byte) ([]byte, error)) {
	pair := made(nkeys.CreateUser())
	return made(jwt.NewUserClaims(made(pair.PublicKey())).Encode(o.accounts[account])), pair.Sign
}

func (o *testOperator) login(account string) nats.Option {
	token, sign := o.user(account)
	return nats.UserJWT(func() (string, error) { return token, nil }, sign)
}

// leafnode joins the engine as a leafnode that logs in as a user of an account.
func (o *testOperator) leafnode(e *testEngine, account string) {
	o.t.Helper()
	token, sign := o.user(account)
	login := func(nonce []byte) (string, []byte, error) {
		signature, err := sign(nonce)
		return token, signature, err
	}
	remote := &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", e.ports["leafnode"])}
	opts := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, ServerName: account}
	opts.LeafNode.ReconnectInterval = time.Hour // One attempt.
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}, SignatureCB: login}}
	srv := made(server.NewServer(opts))
	srv.Start()
	o.t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
}

var operatorMode = frame{"authentication": byOperator}

// reload rewrites the file and wants the given answer, a part of it where there is a problem.
func (e *testEngine) reload(config string, problem string) {
	e.t.Helper()
	if err := os.WriteFile(e.file, []byte(config), 0o600); err != nil {
		e.t.Fatal(err)
	}
	e.send(frame{"type": "reload", "id": 7})
	answer := e.expect("reloaded")
	if got := answer["problem"].(string); answer["id"] != 7.0 || (got == "") != (problem == "") || !strings.Contains(got, problem) || strings.Contains(got, "hunter2") {
		e.t.Fatalf("wanted the problem %q, got %v", problem, answer)
	}
}

func TestOperatorDecidesInOperatorMode(t *testing.T) {
	t.Parallel()
	o, stranger := newOperator(t, "ACME"), newOperator(t, "ACME")
	e := startEngine(t, o.config(`websocket { listen: "127.0.0.1:-1", no_tls: true }`, "ACME"), operatorMode)
	for _, listener := range []string{"client", "websocket", "bridge"} {
		e.connect(e.url(listener), o.login("ACME")).in()
		e.connect(e.url(listener)).refused()
		e.connect(e.url(listener), stranger.login("ACME")).refused()
		e.connect(e.url(listener), nats.UserInfo("choria", testSecret)).refused()
		e.connect(e.url(listener), nats.Token(testSecret)).refused()
	}
	e.expectNothing()
}

func TestFileAndHelloMustBeOfOneMind(t *testing.T) {
	t.Parallel()
	operator := newOperator(t, "ACME").config("", "ACME")
	if _, err := prepareEngine(t, operator, nil); err == nil || !strings.Contains(err.Error(), "'operator'") {
		t.Errorf("an operator where the broker decides: %v", err)
	}
	if _, err := prepareEngine(t, plainConfig, operatorMode); err == nil || !strings.Contains(err.Error(), "'operator' must be there") {
		t.Errorf("operator mode without an operator: %v", err)
	}
}

func TestReloadPutsAccountsInForce(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "ACME", "GLOBEX", "NEW")
	e := startEngine(t, o.config("", "ACME", "GLOBEX"), operatorMode)
	acme, globex := e.connect(e.url("client"), o.login("ACME")).in(), e.connect(e.url("bridge"), o.login("GLOBEX")).in()
	e.connect(e.url("client"), o.login("NEW")).refused()
	e.reload(o.config("", "ACME", "NEW"), "")
	e.connect(e.url("client"), o.login("NEW")).in()
	e.connect(e.url("client"), o.login("GLOBEX")).refused()
	eventually(t, "the client of a removed account is gone", globex.IsClosed)
	if err := acme.FlushTimeout(patience); err != nil || acme.Reconnects != 0 {
		t.Errorf("a client of another account: %v, %d reconnects", err, acme.Reconnects)
	}
}

func TestReloadEndsLeafnodesOfRemovedAccounts(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "ACME", "GLOBEX")
	listener := `leafnodes { listen: "127.0.0.1:-1" }`
	e := startEngine(t, o.config(listener, "ACME", "GLOBEX"), operatorMode)
	for _, account := range []string{"ACME", "GLOBEX"} {
		o.leafnode(e, account)
	}
	eventually(t, "both leafnodes are there", func() bool { return e.srv.NumLeafNodes() == 2 })
	e.reload(o.config(listener, "ACME"), "")
	leafnodes := made(e.srv.Leafz(nil))
	if len(leafnodes.Leafs) != 1 || leafnodes.Leafs[0].Account != o.key("ACME") {
		t.Errorf("got %+v", leafnodes.Leafs)
	}
}

func TestReloadLeavesLinksAlone(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issue("server")
	o := newOperator(t, "ACME", "NEW")
	block := ca.tlsBlock(ca.caFile() + ", verify_cert_and_check_known_urls: true")
	links := fmt.Sprintf(`
		http: "127.0.0.1:-1"
		%s
		websocket { host: 127.0.0.1, port: -1, %s }
		leafnodes { host: 127.0.0.1, port: -1, %s }
		cluster { name: A, host: 127.0.0.1, port: -1, no_advertise: true, pool_size: -1, %s, routes: [ "nats://localhost:1" ] }
		gateway { name: A, host: 127.0.0.1, port: -1, %s, gateways: [ { name: B, urls: [ "nats://localhost:1" ], %s } ] }
		jetstream { store_dir: %q, strict: false }
		`, ca.tlsBlock(ca.caFile()), ca.tlsBlock(ca.caFile()), ca.tlsBlock(ca.caFile()), block, block, ca.tlsBlock(ca.caFile()), t.TempDir())
	e := startEngine(t, o.config(links, "ACME"), frame{"authentication": byOperator, "optional_client_certificates": true})
	acme := e.connect(e.url("client"), o.login("ACME"), nats.RootCAs(ca.path("ca.pem"))).in()
	for range 2 {
		e.reload(o.config(links, "ACME", "NEW"), "")
	}
	e.connect(e.url("client"), o.login("NEW"), nats.RootCAs(ca.path("ca.pem"))).in()
	foreign := newAuthority(t, "foreign")
	certificate := foreign.issue("client")
	stranger := e.connect(e.url("client"), o.login("NEW"), nats.Secure(always(&certificate, ca)))
	if stranger.wait(); stranger.err == nil {
		t.Error("the certificate of another authority was good after a reload")
	}
	if err := acme.FlushTimeout(patience); err != nil || acme.Reconnects != 0 {
		t.Errorf("a client: %v, %d reconnects", err, acme.Reconnects)
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	o, stranger := newOperator(t, "ACME", "NEW"), newOperator(t, "NEW")
	secret := "gateway { name: g, host: 127.0.0.1, port: 1, authorization { user: u, password: hunter2 } }"
	e := startEngine(t, o.config("", "ACME"), operatorMode)
	acme := e.connect(e.url("client"), o.login("ACME")).in()
	for name, c := range map[string]struct{ config, want string }{
		"no syntax":        {"listen: {", "nats.conf"},
		"no account":       {o.config("", "ACME") + "resolver_preload { X: no }", "should be a string JWT"},
		"no operator":      {plainConfig, "'operator' must be there"},
		"another operator": {stranger.config("", "NEW"), "not supported"},
		"accounts as well": {o.config("accounts { A {} }", "ACME"), "ccounts"},
		"other listeners":  {o.config(secret, "ACME"), "not supported"},
	} {
		t.Log(name)
		e.reload(c.config, c.want)
		e.connect(e.url("client"), o.login("NEW")).refused()
	}
	if err := acme.FlushTimeout(patience); err != nil || acme.Reconnects != 0 {
		t.Errorf("a client: %v, %d reconnects", err, acme.Reconnects)
	}
}
