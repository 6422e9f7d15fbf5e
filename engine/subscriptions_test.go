package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// held is how many subscriptions the server has in the account of clients.
func (e *testEngine) held() uint32 {
	account, err := e.srv.LookupAccount("choria")
	if err != nil {
		e.t.Fatal(err)
	}
	return uint32(account.TotalSubs())
}

// subscriber speaks by hand and may hold ten subscriptions.
func subscriber(e *testEngine, listener string) *rawClient {
	e.t.Helper()
	ten := frame{"max_subscriptions": 10}
	if listener == "leafnode" {
		leafnode, q := dialLeafnode(e, `{}`)
		e.send(allowing(q, ten))
		return leafnode
	}
	client := dialRaw(e.t, e.ports["client"])
	client.say(`CONNECT {"verbose":false}`)
	e.send(allowing(e.expect("question"), ten))
	return client
}

// complaints returns what the server said since, without what it asks itself.
func (r *rawClient) complaints() (said []string) {
	r.t.Helper()
	r.say("PING")
	for line := r.line(); line != "PONG"; line = r.line() {
		if strings.HasPrefix(line, "-ERR") {
			said = append(said, line)
		}
	}
	return said
}

// subscribing is how a peer subscribes and gives that back.
type subscribing struct{ sub, queue, unsub string }

func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	for listener, form := range map[string]subscribing{
		"client":   {"SUB SUBJECT NUMBER", "SUB SUBJECT q NUMBER", "UNSUB NUMBER"},
		"leafnode": {"LS+ SUBJECT", "LS+ SUBJECT q 1", "LS- SUBJECT"},
	} {
		t.Run(listener, func(t *testing.T) { boundsSubscriptions(t, listener, form) })
	}
}

// boundsSubscriptions has somebody subscribe on a listener who has ten places.
func boundsSubscriptions(t *testing.T, listener string, form subscribing) {
	t.Parallel()
	deep := strings.Repeat("a.", 17) + "a" // 18 parts, which is three times.
	long := strings.Repeat("x", 600)       // Three times, too.
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	r := subscriber(e, listener)
	r.complaints()
	before := e.held()
	say := func(form, subject string, number int) int {
		r.say(strings.NewReplacer("SUBJECT", subject, "NUMBER", fmt.Sprint(number)).Replace(form))
		return len(r.complaints())
	}
	for number := range 5 {
		if say(form.sub, fmt.Sprintf("plain.%d", number), number) != 0 {
			t.Fatalf("subscription %d was denied", number)
		}
	}
	if say(form.queue, "queued", 5) != 0 || say(form.sub, deep, 6) != 0 {
		t.Fatal("a queue or a deep subject was denied")
	}
	// Six and three: one is left.
	for what, denied := range map[string]int{
		"deep": say(form.sub, "b."+deep, 7), "long": say(form.sub, long, 8), "queued long": say(form.queue, long, 9),
	} {
		if denied != 1 {
			t.Errorf("%s: %d complaints", what, denied)
		}
	}
	if say(form.sub, "last", 10) != 0 || say(form.sub, "more", 11) != 1 || say(form.queue, "more", 12) != 1 {
		t.Error("the last was denied, or one more was not")
	}
	if got := e.held() - before; got != 8 {
		t.Errorf("%d subscriptions are held", got)
	}
	say(form.unsub, deep, 6)
	if say(form.sub, long, 13) != 0 || say(form.sub, "more", 14) != 1 {
		t.Error("what was given back was not given again, or too much")
	}
	say(form.unsub, "nothing.such", 99)
	if say(form.sub, "more", 15) != 1 {
		t.Error("giving back what is not held makes room")
	}
	// The same once more takes nothing.
	if say(form.unsub, "last", 10); say(form.sub, "again", 16) != 0 {
		t.Error("the place of the last was not given again")
	}
	r.Close()
	eventually(t, "the account holds none of them", func() bool { return e.held() <= before })
}

// TestSubscriptionsThatEndByThemselvesMakeRoom holds it for those with a number of messages.
func TestSubscriptionsThatEndByThemselvesMakeRoom(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	client := e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"max_subscriptions": 1}))
	conn := client.in()
	for range 20 {
		sub := made(conn.SubscribeSync("a"))
		if err := sub.AutoUnsubscribe(1); err != nil {
			t.Fatal(err)
		}
		if err := conn.Publish("a", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := sub.NextMsg(patience); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryConnectionHasABoundInOperatorMode takes it from the file there.
func TestEveryConnectionHasABoundInOperatorMode(t *testing.T) {
	t.Parallel()
	o := newOperator(t, "ACME")
	e := startEngine(t, o.config("max_subscriptions: 3", "ACME"), operatorMode)
	failed := make(chan error, 10)
	conn := e.connect(e.url("client"), o.login("ACME"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err })).in()
	for number := range 4 {
		made(conn.SubscribeSync(fmt.Sprint(number)))
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !strings.Contains(strings.ToLower(err.Error()), "maximum subscriptions exceeded") {
		t.Error(err)
	}
}

func TestSubscriptionsOverWebsocketsAreBounded(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+`websocket { listen: "127.0.0.1:-1", no_tls: true }`, nil)
	failed := make(chan error, 10)
	client := e.connect(e.url("websocket"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed <- err }))
	e.send(allowing(e.expect("question"), frame{"max_subscriptions": 3}))
	conn := client.in()
	for number := range 4 {
		made(conn.SubscribeSync(fmt.Sprint(number)))
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !strings.Contains(strings.ToLower(err.Error()), "maximum subscriptions exceeded") {
		t.Error(err)
	}
}
