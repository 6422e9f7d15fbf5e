package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const leafnodeListener = `
leafnodes { listen: "127.0.0.1:-1" }
`

// clusterHash is the library's short name of a cluster in the subjects of replies across gateways.
func clusterHash(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(name))
	hash := make([]byte, 6)
	for i := range hash {
		hash[i] = digits[int(sum[i])%len(digits)]
	}
	return string(hash)
}

// dialLeafnode sends CONNECT as a leafnode and returns it with its question.
func dialLeafnode(e *testEngine, connect string) (*rawClient, frame) {
	e.t.Helper()
	leafnode := dialRaw(e.t, e.ports["leafnode"])
	leafnode.say("CONNECT " + connect)
	return leafnode, e.expect("question")
}

// settled tells whether the server has taken all that was said; false when it has closed the connection.
func (r *rawClient) settled() bool {
	if _, err := r.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	for {
		line, err := r.reader.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "PONG") {
			return err == nil
		}
	}
}

// observer hears everything that is said in its account.
type observer struct {
	t    testing.TB
	conn *nats.Conn
	sub  *nats.Subscription
}

func observe(e *testEngine) *observer {
	e.t.Helper()
	conn, _ := admitted(e, nil)
	o := &observer{e.t, conn, made(conn.SubscribeSync(">"))}
	if err := conn.Flush(); err != nil { // What others say is heard only once the server knows of the subscription.
		e.t.Fatal(err)
	}
	return o
}

// until returns the subjects and payloads heard until the marker.
func (o *observer) until(marker string) []string {
	o.t.Helper()
	var heard []string
	for {
		msg, err := o.sub.NextMsg(patience)
		if err != nil {
			o.t.Fatalf("the marker %s: %v", marker, err)
		}
		if msg.Subject == marker {
			return heard
		}
		heard = append(heard, msg.Subject+" "+string(msg.Data))
	}
}

// joinedByGateways returns engines of the clusters A and B, and who hears everything in either.
func joinedByGateways(t *testing.T) (a, b *testEngine, inA, inB *observer) {
	t.Helper()
	a = startEngine(t, plainConfig+leafnodeListener+`gateway { name: A, listen: "127.0.0.1:-1" }`, nil)
	b = startEngine(t, strings.Replace(plainConfig, "server_name: test", "server_name: far", 1)+
		fmt.Sprintf(`gateway { name: B, listen: "127.0.0.1:-1", gateways: [ { name: A, urls: [ "nats://127.0.0.1:%d" ] } ] }`, a.ports["gateway"]), nil)
	inA, inB = observe(a), observe(b)
	for from, to := range map[*observer]*observer{inA: inB, inB: inA} {
		warm := "warm." + from.conn.ConnectedServerName() // Each hears its own, too.
		eventually(t, "messages cross the gateways", func() bool {
			if from.conn.Publish(warm, nil) != nil || from.conn.Flush() != nil {
				return false
			}
			msg, err := to.sub.NextMsg(10 * time.Millisecond)
			for err == nil && msg.Subject != warm {
				msg, err = to.sub.NextMsg(10 * time.Millisecond)
			}
			return err == nil
		})
	}
	return a, b, inA, inB
}

// spread returns what was heard in both clusters of all that A's server has taken so far, and of what came back to it.
func spread(inA, inB *observer, marker string) (heard []string) {
	for _, hop := range []struct{ from, to *observer }{{inA, inB}, {inB, inA}, {inA, inB}} {
		if err := hop.from.conn.Publish(marker, nil); err != nil {
			hop.from.t.Fatal(err)
		}
		for _, at := range []*observer{hop.from, hop.to} {
			for _, line := range at.until(marker) {
				if !strings.HasPrefix(line, "warm.") {
					heard = append(heard, line)
				}
			}
		}
	}
	return heard
}

func TestLimitsOfALeafnodeHoldAcrossGateways(t *testing.T) {
	t.Parallel()
	a, _, inA, inB := joinedByGateways(t)
	toA, toB := "_GR_."+clusterHash("A")+".xxxxxx.", "_GR_."+clusterHash("B")+".xxxxxx."
	denying := limits(frame{"publish.allow": []string{">"}, "publish.deny": []string{"denied.>"}})
	listing := limits(frame{"publish.allow": []string{"allowed.>"}})
	for number, c := range []struct {
		connect string
		limits  any
		said    string
		heard   string
	}{
		{`{}`, denying, "LMSG allowed.x 4", "allowed.x evil,allowed.x evil"},
		{`{}`, denying, "LMSG " + toB + "allowed.x 4", toB + "allowed.x evil,allowed.x evil,allowed.x evil"},
		{`{}`, denying, "LMSG denied.x 4", ""},
		{`{}`, denying, "LMSG " + toB + "denied.x 4", ""},
		{`{}`, denying, "LMSG " + toA + "denied.x 4", ""},
		{`{}`, denying, "LMSG " + toB + toA + "denied.x 4", ""},
		{`{}`, denying, "LMSG " + toB + toB + "denied.x 4", ""},
		{`{}`, denying, "LMSG " + toB + toA + toB + "denied.x 4", ""},
		{`{}`, denying, "LMSG " + toB + "denied.x reply 4", ""},
		{`{}`, denying, "LMSG " + toB + "denied.x + reply queue 4", ""},
		{`{}`, denying, "RMSG " + toB + "denied.x 4", ""},
		{`{}`, denying, "PUB " + toB + "denied.x 4", ""},
		{`{"headers":true}`, denying, "HMSG " + toB + "denied.x 0 4", ""},
		{`{}`, listing, "LMSG " + toB + "_R_.x 4", ""},
		{`{}`, listing, "LMSG _R_.x 4", ""},
		{`{}`, listing, "LMSG $JS.ACK.S.C.1.1.1.1.0 4", ""},
		{`{}`, listing, "LMSG " + toB + "$JS.ACK.S.C.1.1.1.1.0 4", ""},
		{`{}`, listing, "LMSG $GR.xxxx.denied.x 4", ""},
		{`{"is_hub":true}`, denying, "LMSG " + toB + "denied.x 4", ""},
		{`{"is_hub":true}`, denying, "LMSG denied.x 4", ""},
		{`{"is_hub":true}`, denying, "LMSG allowed.x 4", ""},
		{`{"IS_HUB":true}`, denying, "LMSG " + toB + "denied.x 4", ""},
		{`{"is_hub":false,"is_hub":true}`, listing, "LMSG " + toB + "denied.x 4", ""},
		{`{"is_hub":true,"isolate":true,"remote_account":"system","domain":"far","cluster":"C","name":"N"}`, denying, "LMSG " + toB + "denied.x 4", ""},
		{`{"is_hub":true,"import":{},"export":{"allow":[">"]}}`, denying, "LMSG " + toB + "denied.x 4", ""},
		{`{"is_hub":true}`, limits(frame{"subscribe.deny": []string{"denied.>"}}), "LS+ denied.x\r\nLMSG " + toB + "x 4", ""},
	} {
		leafnode, q := dialLeafnode(a, c.connect)
		a.send(allowing(q, frame{"permissions": c.limits}))
		fmt.Fprintf(leafnode, "%s\r\nevil\r\n", c.said) // Fails where the server was quicker to end it.
		leafnode.settled()
		if heard := strings.Join(spread(inA, inB, fmt.Sprintf("marker.%d", number)), ","); heard != c.heard {
			t.Errorf("CONNECT %s, %s: heard %q, wanted %q", c.connect, c.said, heard, c.heard)
		}
		leafnode.Close()
	}
}

func TestALeafnodeWithLimitsIsNobodysHub(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	leafnode, q := dialLeafnode(e, `{"is_hub":true}`)
	e.send(allowing(q, frame{"permissions": limits(frame{"publish.deny": []string{"denied"}})}))
	said := leafnode.line()
	if !strings.HasPrefix(said, "-ERR 'Leafnode with limited permissions asks for the role of the hub") || leafnode.settled() {
		t.Errorf("the leafnode was told %q", said)
	}
	eventually(t, "it is gone", func() bool { return e.srv.NumLeafNodes() == 0 })

	leafnode, q = dialLeafnode(e, `{"is_hub":true}`)
	e.send(allowing(q))
	if !leafnode.settled() || e.srv.NumLeafNodes() != 1 {
		t.Error("a leafnode without limits cannot be the hub")
	}
}

// TestRepliesALeafnodeMayNotSendAreDropped keeps the connection: the other side's own clients sent them in good faith.
func TestRepliesALeafnodeMayNotSendAreDropped(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	o := observe(e)
	leafnode, q := dialLeafnode(e, `{}`)
	e.send(allowing(q, frame{"permissions": limits(frame{"publish.allow": []string{"a", "$JS.ACK.MINE.>"}})}))
	leafnode.say("LMSG _R_.x 1\r\nx\r\nLMSG $JS.ACK.OTHER.C.1.1.1.1.0 1\r\nx\r\nLMSG $JS.ACK.MINE.C.1.1.1.1.0 1\r\nx\r\nLMSG a 1\r\nx")
	if !leafnode.settled() {
		t.Fatal("the leafnode was closed")
	}
	if heard := o.until("a"); len(heard) != 1 || heard[0] != "$JS.ACK.MINE.C.1.1.1.1.0 x" {
		t.Errorf("heard %v", heard)
	}
}

// TestALeafnodeWithLimitsCannotFeignALoop has a leafnode repeat what another detects loops by.
func TestALeafnodeWithLimitsCannotFeignALoop(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+leafnodeListener, nil)
	site, q := dialLeafnode(e, `{"name":"site","server_id":"site","cluster":"SITE"}`)
	e.send(allowing(q))
	site.say("LS+ $LDS.ofsite")
	site.settled()
	for name, limited := range map[string]bool{"limited": true, "free": false} {
		other, q := dialLeafnode(e, fmt.Sprintf(`{"name":%q,"server_id":%q,"cluster":%q}`, name, name, name))
		e.send(allowing(q, map[bool]frame{true: {"permissions": limits(frame{"publish.allow": []string{"a"}})}}[limited]))
		other.say("LS+ $LDS.of" + name + "\r\nLS+ $LDS.ofsite")
		if !other.settled() {
			t.Fatalf("%s was closed", name)
		}
		site.say("PING")
		var told []string
		for line := site.line(); line != "PONG"; line = site.line() {
			told = append(told, line)
		}
		heard := strings.Join(told, "\n")
		if !strings.Contains(heard, "LS+ $LDS.of"+name) || strings.Contains(heard, "LS+ $LDS.ofsite") == limited {
			t.Errorf("with a leafnode that is %s, the other was told %q", name, heard)
		}
		other.Close()
		eventually(t, name+" is gone", func() bool { return e.srv.NumLeafNodes() == 1 })
		site.settled()
	}
}

// TestClientsWithLimitsDoNotOverhearRepliesToAnotherCluster has a leafnode answer to B by way of A.
func TestClientsWithLimitsDoNotOverhearRepliesToAnotherCluster(t *testing.T) {
	t.Parallel()
	a, _, inA, inB := joinedByGateways(t)
	site, q := dialLeafnode(a, `{"name":"site","server_id":"site","cluster":"SITE"}`)
	a.send(allowing(q))
	limited, _ := admitted(a, limits(frame{"subscribe.deny": []string{"denied.>"}}))
	var overheard []*nats.Subscription
	for _, subject := range []string{">", "_GR_.>", "*.*.*.denied.>", "_GR_." + clusterHash("B") + ".xxxxxx.denied.inbox"} {
		overheard = append(overheard, made(limited.SubscribeSync(subject)), made(limited.QueueSubscribeSync(subject, "queue")))
	}
	if err := limited.Flush(); err != nil {
		t.Fatal(err)
	}
	site.say("LMSG _GR_." + clusterHash("B") + ".xxxxxx.denied.inbox 6\r\nsecret\r\nLMSG marker 0\r\n")
	if answered := strings.Join(inB.until("marker"), ","); !strings.Contains(answered, "denied.inbox secret") {
		t.Errorf("in the other cluster was heard %q", answered)
	}
	inA.until("marker")
	if err := limited.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, each := range overheard {
		for msg, err := each.NextMsg(time.Millisecond); err == nil; msg, err = each.NextMsg(time.Millisecond) {
			if string(msg.Data) == "secret" {
				t.Errorf("a client that may not hear denied.> has heard %s", msg.Subject)
			}
		}
	}
}
