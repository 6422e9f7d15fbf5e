package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

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
func (c *fakeClient) EndUnanswered()                              {}
func (c *fakeClient) Kind() int                                   { return server.CLIENT }
func (c *fakeClient) GetID() uint64                               { return 5 }
func (c *fakeClient) RegisterUser(u *server.User)                 { c.opts.Username = u.Username }
func (c *fakeClient) Account() *server.Account                    { return c.account }
func (c *fakeClient) ForgetLogin(bool)                            { c.opts = server.ClientOpts{} }
func (c *fakeClient) ShowUser(name string)                        { c.opts.Username = name }
func (c *fakeClient) Measured() int                               { return 0 }
func (c *fakeClient) LimitSubscriptions(int32)                    {}
func (c *fakeClient) Closing() bool                               { return false }
func (c *fakeClient) Websocket() bool                             { return false }
func (c *fakeClient) ShownUser() string                           { return "" }
func (c *fakeClient) EndNow()                                     {}
func (c *fakeClient) Traffic() server.Traffic                     { return server.Traffic{} }
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
		t.Run(name, func(t *testing.T) { registers(t, account, c.client, c.changes, c.why) })
	}
}

// registers has a client let in by a verdict that allows it, which ends for this cause.
func registers(t *testing.T, account *server.Account, client server.ClientAuthentication, changes frame, why cause) {
	g, broker := startGate(t, nil)
	log := &logs{}
	a := &authenticator{gate: g, memory: newMemory(g), sessions: newSessions(), secret: sha256.Sum256(nil), errorf: log.Errorf,
		account: func(string) (*server.Account, error) { return account, nil }}
	allowed := make(chan bool, 1)
	go func() { allowed <- a.Check(client) }()
	for f := receive(t, broker.frames); ; f = receive(t, broker.frames) {
		if f["type"] == "refusal" {
			if f["cause"] != string(why) {
				t.Errorf("refused for %v, want %q", f["cause"], why)
			}
			break
		}
		if f["address"] != "::1" {
			t.Errorf("address %v", f["address"])
		}
		broker.send(allowing(f, changes))
		if why == causeNone {
			break
		}
	}
	if got := receive(t, allowed); got != (why == causeNone) {
		t.Errorf("allowed: %t", got)
	}
	if strings.Contains(log.String(), "SECRET") || (why != causeNone && why != causeGone && log.String() == "") {
		t.Errorf("log: %q", log)
	}
}

func TestGenerationThatMovesDuringRegistration(t *testing.T) {
	t.Parallel()
	g, broker := startGate(t, nil)
	account := server.NewAccount("choria")
	a := &authenticator{gate: g, memory: newMemory(g), sessions: newSessions(), errorf: t.Logf, account: func(string) (*server.Account, error) { return account, nil }}
	client := &fakeClient{registers: func(*fakeClient) { g.generation.Store(8) }}
	allowed := make(chan bool, 1)
	go func() { allowed <- a.Check(client) }()
	broker.send(allowing(broker.expect("question")))
	again := broker.expect("question")
	broker.send(allowing(again, frame{"generation": 8, "account": "other"}))
	if receive(t, allowed) {
		t.Error("let in by an old policy")
	}
	broker.expectRefusal(causeStaleGeneration, again["id"])
}
