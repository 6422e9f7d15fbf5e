package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
)

// event is what the library tells of connections, as far as the test reads it.
type event struct {
	Server struct {
		Seq uint64 `json:"seq"`
	} `json:"server"`
	Client struct {
		ID uint64 `json:"id"`
	} `json:"client"`
	Connections int `json:"conns"`
}

// comeAndGo has somebody come and go, of whom the watcher hears, and returns the number of the event about the end of a connection.
func comeAndGo(t *testing.T, watcher *nats.Conn, enter func(account string) *nats.Conn) uint64 {
	t.Helper()
	heard := map[string]*nats.Subscription{}
	for _, subject := range []string{"$SYS.ACCOUNT.choria.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT", "$SYS.SERVER.ACCOUNT.choria.CONNS", "$SYS.ACCOUNT.choria.SERVER.CONNS"} {
		heard[subject] = made(watcher.SubscribeSync(subject))
	}
	if err := watcher.Flush(); err != nil {
		t.Fatal(err)
	}
	next := func(subject string) (told event) {
		if err := json.Unmarshal(made(heard[subject].NextMsg(patience)).Data, &told); err != nil {
			t.Fatal(err)
		}
		return told
	}
	client := enter("choria")
	id := made(client.GetClientID())
	if told := next("$SYS.ACCOUNT.choria.CONNECT"); told.Client.ID != id {
		t.Errorf("told of %d, and it was %d", told.Client.ID, id)
	}
	for _, subject := range []string{"$SYS.SERVER.ACCOUNT.choria.CONNS", "$SYS.ACCOUNT.choria.SERVER.CONNS"} {
		if told := next(subject); told.Connections != 1 {
			t.Errorf("%s tells of %d connections", subject, told.Connections)
		}
	}
	client.Close()
	last := next("$SYS.ACCOUNT.*.DISCONNECT")
	if last.Client.ID != id {
		t.Errorf("told of the end of %d, and it was %d", last.Client.ID, id)
	}
	for _, each := range heard {
		if err := each.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := watcher.Flush(); err != nil {
		t.Fatal(err)
	}
	return last.Server.Seq
}

// TestEventsAreForThoseWhoListen has somebody of the system account listen, and nobody.
func TestEventsAreForThoseWhoListen(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	enter := func(account string) *nats.Conn {
		client := e.connect(e.url("client"), nats.Token("x"))
		e.send(allowing(e.expect("question"), frame{"account": account}))
		return client.in()
	}
	watcher := enter("system")
	before := comeAndGo(t, watcher, enter)
	for range 30 {
		enter("choria").Close()
	}
	eventually(t, "they are gone", func() bool { return e.srv.NumClients() == 1 })
	if after := comeAndGo(t, watcher, enter); after-before > 30 {
		t.Errorf("%d events while nobody listened", after-before)
	}
}

// TestMembersKnowEachOthersConnections has two members count the connections of an account.
func TestMembersKnowEachOthersConnections(t *testing.T) {
	t.Parallel()
	cluster := func(name, more string) string {
		return fmt.Sprintf("listen: \"127.0.0.1:-1\"\nserver_name: %s\naccounts { choria {}, system {} }\nsystem_account: system\ncluster { name: c, listen: \"127.0.0.1:-1\", no_advertise: true, pool_size: -1, %s }", name, more)
	}
	hub := startEngine(t, cluster("hub", ""), nil)
	other := startEngine(t, cluster("other", fmt.Sprintf("routes: [\"nats://127.0.0.1:%d\"]", hub.ports["cluster"])), nil)
	eventually(t, "a route", func() bool { return hub.srv.NumRoutes() > 0 && other.srv.NumRoutes() > 0 })
	enter := func(e *testEngine) *nats.Conn {
		client := e.connect(e.url("client"), nats.Token("x"))
		e.send(allowing(e.expect("question")))
		return client.in()
	}
	asking, answering := enter(hub), enter(other)
	made(answering.Subscribe("question", func(m *nats.Msg) { m.Respond(nil) }))
	eventually(t, "the hub knows what the other listens to", func() bool {
		_, err := asking.Request("question", nil, patience/60)
		return err == nil
	})
	account := made(other.srv.LookupAccount("choria"))
	for count := 2; count < 5; count++ {
		enter(hub)
		eventually(t, "the other knows", func() bool { return account.NumRemoteConnections() == count })
	}
}
