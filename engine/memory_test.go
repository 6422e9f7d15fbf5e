package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// lasting says that a verdict is good for others for a minute.
func lasting(ofClass bool) frame {
	return frame{"until": time.Now().Add(time.Minute).UnixMilli(), "of_class": ofClass}
}

// quietGate is a gate that nobody reads and writes.
func quietGate(t *testing.T) *gate {
	t.Helper()
	conn, _ := socketPair(t)
	return newGate(conn, brokerHello{Generation: 7, AnswerWithinMS: 1000, MaxQuestions: 5})
}

func newTestMemory(t *testing.T) *memory {
	m := newMemory(quietGate(t))
	m.gate.renewed = m.clear
	return m
}

// tokened is a question of somebody with a token and a key.
func tokened(key ed25519.PrivateKey, nonce string) *question {
	q := &question{request: request{Connection: 3, Kind: "client", TLS: noCertificate, Address: "192.0.2.1", Token: "to.ke.n", Nonce: nonce}}
	q.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(nonce)))
	return q
}

func goodFor(d time.Duration, changes ...func(v *verdict)) verdict {
	v := verdict{generation: 7, allow: true, account: "choria", maxSubs: 10, holder: json.RawMessage(`{"method":"token","rule":"client-token"}`),
		conditions: conditions{proof: publicOf(pair(1)), signatures: []condition{signed(pair(2), "m")}},
		reach:      &reach{Until: time.Now().Add(d).UnixMilli()}}
	for _, change := range changes {
		change(&v)
	}
	return v
}

func TestVerdictIsFoundAgainByWhoAgreesInEverything(t *testing.T) {
	m := newTestMemory(t)
	now := time.Now()
	if _, ok := m.find(tokened(pair(1), "first"), now); ok {
		t.Fatal("nothing is known yet")
	}
	m.keep(tokened(pair(1), "first"), goodFor(time.Minute), now)
	again := tokened(pair(1), "second")
	again.Connection, again.Name, again.Language, again.Version = 4, "other", "c", "2"
	v, ok := m.find(again, now)
	if !ok || v.account != "choria" || v.by != 3 || len(v.conditions.signatures) != 0 {
		t.Errorf("found %v, %+v", ok, v)
	}
	certified := func(q *question) { q.Certificate = &certificate{Fingerprint: "ff"} }
	for name, change := range map[string]func(q *question){
		"kind": func(q *question) { q.Kind = kindLeafnode }, "listener": func(q *question) { q.listener = "websocket" },
		"tls": func(q *question) { q.TLS = verifiedTLS }, "address": func(q *question) { q.Address = "192.0.2.2" },
		"user": func(q *question) { q.User = "x" }, "password": func(q *question) { q.Password = "x" },
		"token": func(q *question) { q.Token += "x" }, "moved": func(q *question) { q.Token, q.JWT = "", "to.ke.n" },
		"jwt": func(q *question) { q.JWT = "x" }, "nkey": func(q *question) { q.Nkey = "x" },
		"unread": func(q *question) { q.TokenUnread = true }, "no proof": func(q *question) { q.Signature = "" },
		"old proof":   func(q *question) { q.Nonce = "third" },
		"other key":   func(q *question) { *q = *tokened(pair(5), "second") },
		"certificate": certified, "in process": func(q *question) { q.Kind = kindInProcess },
		"authority":    func(q *question) { certified(q); q.Certificate.Authority = &anchor{Fingerprint: "aa", Key: "bb"} },
		"intermediate": func(q *question) { certified(q); q.Certificate.Intermediates = []intermediate{{Fingerprint: "aa"}} },
	} {
		q := tokened(pair(1), "second")
		change(q)
		if _, ok := m.find(q, now); ok {
			t.Errorf("%s: found", name)
		}
	}
	if _, ok := m.find(tokened(pair(1), "fourth"), now); !ok {
		t.Error("it was forgotten for those who are others")
	}
}

func TestVerdictOfAClass(t *testing.T) {
	m := newTestMemory(t)
	now := time.Now()
	certified := func(name string) *question {
		return &question{request: request{Connection: 3, Kind: "client", TLS: verifiedTLS, Address: name, Certificate: &certificate{
			CommonName: name, Serial: "0a", Issuer: "CN=ca", Fingerprint: name, NotAfter: 1234, Authority: &anchor{"CN=ca", "aa", "bb"}}}}
	}
	of := func(v *verdict) {
		v.conditions, v.reach.OfClass = conditions{}, true
		v.holder = json.RawMessage(`{"identity":"one","method":"mtls","rule":"mtls","certificate":{"serial":"1"},"expires":99}`)
	}
	m.keep(certified("one"), goodFor(time.Minute, of), now)
	v, ok := m.find(certified("two"), now)
	var holder frame
	if err := json.Unmarshal(v.holder, &holder); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if holder["identity"] != "two" || holder["method"] != "mtls" || holder["rule"] != "mtls" || holder["expires"] != 1234.0 ||
		holder["certificate"].(frame)["serial"] != "0a" || len(holder) != 5 {
		t.Errorf("whose it is: %v", holder)
	}
	for name, change := range map[string]func(q *question){
		"tls": func(q *question) { q.TLS = noCertificate }, "kind": func(q *question) { q.Kind = kindLeafnode },
		"listener": func(q *question) { q.listener = "websocket" }, "user": func(q *question) { q.User = "x" },
		"password": func(q *question) { q.Password = "x" }, "token": func(q *question) { q.Token = "x" },
		"unread": func(q *question) { q.TokenUnread = true }, "signature": func(q *question) { q.Signature = "x" },
		"jwt": func(q *question) { q.JWT = "x" }, "nkey": func(q *question) { q.Nkey = "x" },
		"in process": func(q *question) { q.Kind = kindInProcess },
	} {
		q := certified("two")
		change(q)
		if _, ok := m.find(q, now); ok {
			t.Errorf("%s: found", name)
		}
	}
	other := newTestMemory(t)
	sending := certified("one")
	sending.User = "x"
	other.keep(sending, goodFor(time.Minute, of), now)
	other.keep(certified("one"), goodFor(time.Minute, of, func(v *verdict) { v.conditions.proof = publicOf(pair(1)) }), now)
	if len(other.known) != 0 {
		t.Error("a class was made of somebody who sends something")
	}
}

func TestWhatIsNotRemembered(t *testing.T) {
	now := time.Now()
	for name, change := range map[string]func(q *question, v *verdict){
		"no reach": func(_ *question, v *verdict) { v.reach = nil }, "over": func(_ *question, v *verdict) { v.reach.Until = now.UnixMilli() },
		"older policy": func(_ *question, v *verdict) { v.generation = 6 }, "newer policy": func(_ *question, v *verdict) { v.generation = 8 },
		"remembered": func(_ *question, v *verdict) { v.by = 2 }, "unmet": func(q *question, _ *verdict) { q.Unmet = true },
		"in process": func(q *question, _ *verdict) { q.Kind = kindInProcess },
		"huge":       func(_ *question, v *verdict) { v.holder = make([]byte, mostRememberedBytes) },
	} {
		m := newTestMemory(t)
		q, v := tokened(pair(1), "nonce"), goodFor(time.Minute)
		change(q, &v)
		m.keep(q, v, now)
		if len(m.known) != 0 || m.bytes != 0 || m.oldest.Len() != 0 {
			t.Errorf("%s: remembered", name)
		}
	}
}

func TestVerdictsEnd(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		good, after time.Duration
		act         func(m *memory)
		found       bool
	}{
		"in time":           {2 * time.Minute, time.Minute, nil, true},
		"over":              {time.Minute, time.Minute + time.Second, nil, false},
		"clock set back":    {time.Hour, -time.Second, nil, false},
		"longest":           {time.Hour, longestRemembered, nil, false},
		"policy":            {time.Hour, 0, func(m *memory) { m.gate.receive([]byte(`{"type":"generation","generation":8}`)) }, false},
		"policy, not empty": {time.Hour, 0, func(m *memory) { m.gate.generation.Store(8) }, false},
		"end of the gate":   {time.Hour, 0, func(m *memory) { m.gate.halt() }, false},
		"broker is behind": {time.Hour, 0, func(m *memory) {
			for range mostBehind {
				m.gate.send(refusal{}, inAnyCase)
			}
		}, false},
	} {
		m := newTestMemory(t)
		m.keep(tokened(pair(1), "first"), goodFor(c.good), now)
		if c.act != nil {
			c.act(m)
		}
		if _, ok := m.find(tokened(pair(1), "second"), now.Add(c.after)); ok != c.found {
			t.Errorf("%s: found %v", name, ok)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m, now := newTestMemory(t), time.Now()
	// Signed once: thousands of signatures take half a minute under the race detector.
	signed, good := tokened(pair(1), "nonce"), goodFor(time.Minute)
	named := func(number int) *question {
		q := *signed
		q.User = fmt.Sprint(number)
		return &q
	}
	for number := range mostRemembered + 10 {
		m.keep(named(number), good, now)
	}
	if len(m.known) != mostRemembered || m.oldest.Len() != mostRemembered {
		t.Errorf("%d are remembered", len(m.known))
	}
	if _, ok := m.find(named(9), now); ok {
		t.Error("the oldest was not forgotten first")
	}
	if _, ok := m.find(named(10), now); !ok {
		t.Error("more was forgotten than has to be")
	}
	large := goodFor(time.Minute, func(v *verdict) { v.holder = json.RawMessage(strings.Repeat("x", mostOfHolder)) })
	for number := range 5000 {
		m.keep(named(number), large, now)
	}
	sum := 0
	for place := m.oldest.Front(); place != nil; place = place.Next() {
		sum += place.Value.(*rememberedVerdict).size
	}
	if m.bytes > mostRememberedBytes || m.bytes != sum || len(m.known) != m.oldest.Len() {
		t.Errorf("%d bytes, in truth %d, in %d verdicts", m.bytes, sum, len(m.known))
	}
	m.forgetOver(now.Add(time.Hour))
	if len(m.known) != 0 || m.bytes != 0 {
		t.Error("what is over is kept")
	}
}

func TestMalformedReach(t *testing.T) {
	for _, text := range []string{`1`, `[]`, `{}`, `{"until":0}`, `{"until":-5}`, `{"until":"x"}`, `{"until":1.5}`, `{"until":9223372036854775807}`, `{"until":5,"of_class":1}`} {
		if _, err := parseReach(json.RawMessage(text)); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
	if r, err := parseReach(nil); r != nil || err != nil {
		t.Error("nothing is no reach")
	}
}

func TestWhoComesAgainIsLetInWithoutAQuestion(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	limits := frame{"publish": frame{"allow": []string{"a"}, "deny": []string{}}, "subscribe": frame{"allow": nil, "deny": []string{"b"}}}
	c := e.connect(e.url("client"), withKey(pair(1)), nats.Name("first"))
	q := e.expect("question")
	v := leaving(q, publicOf(pair(1)), signed(pair(2), "to.ke"))
	v["reach"], v["permissions"], v["max_subscriptions"] = lasting(false), limits, 3
	e.send(v)
	c.in()
	e.expect("admitted")

	d := e.connect(e.url("client"), withKey(pair(1)), nats.Name("second"))
	d.in()
	told := e.expect("admitted")["again"].([]any)[0].(frame)
	if told["by"] != q["connection_id"] || told["connection"] == q["connection_id"] || told["name"] != "second" || told["address"] != "127.0.0.1" ||
		!reflect.DeepEqual(told["holder"], v["holder"]) || told["seconds"].(float64) <= 0 {
		t.Errorf("told %v", told)
	}
	sessions := e.listSessions(false)
	if len(sessions) != 2 || sessions[1]["account"] != "choria" || sessions[1]["username"] != "shown" || sessions[1]["generation"] != 7.0 ||
		!reflect.DeepEqual(sessions[1]["holder"], sessions[0]["holder"]) {
		t.Errorf("the sessions are %v", sessions)
	}
	denied := make(chan error, 10)
	d.conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
	d.conn.Publish("other", nil)
	if err := receive(t, denied); !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
		t.Errorf("got %v", err)
	}
	// Who does not have the key is refused by the broker.
	thief := e.connect(e.url("client"), withKey(pair(9)))
	e.send(frame{"type": "verdict", "id": e.expect("question")["id"], "generation": 7, "allow": false})
	thief.refused()
	// After the next policy everybody is asked about.
	e.send(frame{"type": "generation", "generation": 8})
	eventually(t, "the generation is known", func() bool { return e.gate.generation.Load() == 8 })
	after := e.connect(e.url("client"), withKey(pair(1)))
	e.send(frame{"type": "verdict", "id": e.expect("question")["id"], "generation": 8, "allow": false})
	after.refused()
}

// changing is a broker whose policy changes: every other one lets nobody in.
type changing struct {
	e              *testEngine
	current, asked atomic.Uint64
}

func bans(generation uint64) bool { return generation > 1 && generation%2 == 0 }

// answer answers questions by the policy that there was when they came, some of them late.
func (c *changing) answer() {
	random := rand.New(rand.NewSource(1))
	for f := range c.e.frames {
		if f["type"] != "question" {
			continue
		}
		c.asked.Add(1)
		generation := c.current.Load()
		if random.Intn(4) == 0 {
			time.Sleep(time.Duration(random.Intn(3)) * time.Millisecond)
		}
		v := frame{"type": "verdict", "id": f["id"], "generation": generation, "allow": false}
		if !bans(generation) {
			v = allowing(f, frame{"generation": generation, "reach": lasting(true), "username": ""})
		}
		body, _ := json.Marshal(v)
		c.e.fakeBroker.conn.Write(wire(string(body)))
	}
}

// TestAnOlderVerdictNeverLetsInLater has clients come while policies change, some of them answered from memory: whoever
// gets in does so by a policy that was the newest at some moment since he asked.
func TestAnOlderVerdictNeverLetsInLater(t *testing.T) {
	e := startEngine(t, plainConfig, frame{"generation": 1})
	policies := &changing{e: e}
	policies.current.Store(1)
	go policies.answer()
	for generation := uint64(2); generation < 40; generation++ {
		// Some come under the old policy, and are let in or not.
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() {
				if conn, err := nats.Connect(e.url("client"), nats.NoReconnect(), nats.Timeout(patience)); err == nil {
					conn.Close()
				}
			})
		}
		banned := bans(generation)
		policies.current.Store(generation)
		body, _ := json.Marshal(frame{"type": "generation", "generation": generation})
		e.fakeBroker.conn.Write(wire(string(body)))
		eventually(t, "the generation is known", func() bool { return e.gate.generation.Load() == generation })
		// Whoever comes now is judged by the new one.
		for range 3 {
			conn, err := nats.Connect(e.url("client"), nats.NoReconnect(), nats.Timeout(patience))
			if (err == nil) == banned {
				t.Fatalf("generation %d, banned %v: got %v", generation, banned, err)
			}
			if err == nil {
				conn.Close()
			}
		}
		running.Wait()
	}
	if asked := policies.asked.Load(); e.auth.memory.used.Load() == 0 || asked == 0 {
		t.Errorf("%d answered from memory, %d by the broker: nothing was tried", e.auth.memory.used.Load(), asked)
	}
}

func TestKeysTellTextsApart(t *testing.T) {
	m := newTestMemory(t)
	keys := []memoryKey{m.sum([]string{"a", "bc"}), m.sum([]string{"ab", "c"}), m.sum([]string{"abc", ""}), m.sum([]string{"", "abc"}), m.sum([]string{"abc"})}
	slices.SortFunc(keys, func(a, b memoryKey) int { return slices.Compare(a[:], b[:]) })
	if len(slices.Compact(keys)) != 5 || m.sum([]string{"a"}) == newTestMemory(t).sum([]string{"a"}) {
		t.Error("keys are not kept apart")
	}
}
