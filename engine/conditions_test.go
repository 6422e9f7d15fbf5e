package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// pair is a key of a test, made of a number.
func pair(number byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(slices.Repeat([]byte{number}, ed25519.SeedSize))
}

func publicOf(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

// signed is a condition that holds.
func signed(key ed25519.PrivateKey, message string) condition {
	return condition{publicOf(key), ed25519.Sign(key, []byte(message)), []byte(message)}
}

func TestConditionsHold(t *testing.T) {
	holder, issuer := pair(1), pair(2)
	nonce := "nonce-of-connection"
	answer := base64.RawURLEncoding.EncodeToString(ed25519.Sign(holder, []byte(nonce)))
	good := conditions{[]condition{signed(issuer, "token"), signed(issuer, "chain")}, publicOf(holder)}
	if !good.hold(nonce, answer, "") || !(conditions{}).hold("", "", "") {
		t.Fatal("conditions that hold are said not to")
	}
	for name, change := range map[string]func(c *conditions, nonce, answer *string){
		"other token":        func(c *conditions, _, _ *string) { c.signatures[0].Message = []byte("forged") },
		"last one forged":    func(c *conditions, _, _ *string) { c.signatures[1].Signature[5] ^= 1 },
		"other issuer":       func(c *conditions, _, _ *string) { c.signatures[0].Key = publicOf(pair(3)) },
		"other holder":       func(c *conditions, _, _ *string) { c.proof = publicOf(pair(3)) },
		"other nonce":        func(_ *conditions, nonce, _ *string) { *nonce = "nonce-of-another" },
		"no nonce":           func(_ *conditions, nonce, _ *string) { *nonce = "" },
		"no answer":          func(_ *conditions, _, answer *string) { *answer = "" },
		"padded answer":      func(_ *conditions, _, answer *string) { *answer += "==" },
		"line end in answer": func(_ *conditions, _, answer *string) { *answer = (*answer)[:40] + "\n" + (*answer)[41:] },
		"left-over bits":     func(_ *conditions, _, answer *string) { *answer = (*answer)[:85] + string((*answer)[85]+1) },
	} {
		c := conditions{[]condition{signed(issuer, "token"), signed(issuer, "chain")}, publicOf(holder)}
		n, a := nonce, answer
		change(&c, &n, &a)
		if c.hold(n, a, "") {
			t.Errorf("%s: held", name)
		}
	}
}

func TestAConditionWithoutAMessageIsAboutTheToken(t *testing.T) {
	issuer := pair(2)
	about := signed(issuer, "to.ke")
	about.Message = nil
	c := conditions{[]condition{about}, nil}
	if !c.hold("", "", "to.ke.n") {
		t.Error("the signature of the token does not hold")
	}
	for _, token := range []string{"", "token", "to.ke", "to.kf.n", "to.ke.n.n", " to.ke.n"} {
		if c.hold("", "", token) {
			t.Errorf("%q: held", token)
		}
	}
	about.Message = []byte{}
	if (conditions{[]condition{about}, nil}).hold("", "", "to.ke.n") {
		t.Error("an empty message is none")
	}
}

// TestKeysThatAnybodyCanSignFor has points of small order, with which a signature is made without a private key.
func TestKeysThatAnybodyCanSignFor(t *testing.T) {
	// With the neutral element as key and R, and S = 0, the equation holds for whatever message.
	neutral := append([]byte{1}, make([]byte, 31)...)
	forged := append(slices.Clone(neutral), make([]byte, 32)...)
	if !ed25519.Verify(neutral, []byte("m"), forged) {
		t.Skip("the library refuses it by now")
	}
	if signedBy(neutral, forged, []byte("m")) {
		t.Error("a signature by nobody holds")
	}
	for y := range weakPoints {
		for _, sign := range []byte{0, 0x80} {
			point := y
			point[31] |= sign
			if isOrdinary(point[:]) {
				t.Errorf("%x is of small order", point)
			}
		}
	}
	for _, text := range []string{
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // 1
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 3
	} {
		point, _ := hex.DecodeString(text)
		if isOrdinary(point) {
			t.Errorf("%s has another spelling", text)
		}
	}
	for number := range byte(50) {
		if key := publicOf(pair(number)); !isOrdinary(key) {
			t.Errorf("%x is an ordinary key", key)
		}
	}
}

func TestMalformedConditions(t *testing.T) {
	key, signature := base64.StdEncoding.EncodeToString(make([]byte, 32)), base64.StdEncoding.EncodeToString(make([]byte, 64))
	one := fmt.Sprintf(`{"key":%q,"signature":%q,"message":"bQ=="}`, key, signature)
	many := "[" + one
	for range mostConditions {
		many += "," + one
	}
	for name, c := range map[string][2]string{
		"no list": {`{}`, `""`}, "text": {`"x"`, `""`}, "no key": {`[{}]`, `""`}, "too many": {many + "]", `""`},
		"short key":       {fmt.Sprintf(`[{"key":"AAAA","signature":%q,"message":""}]`, signature), `""`},
		"short signature": {fmt.Sprintf(`[{"key":%q,"signature":"AAAA","message":""}]`, key), `""`},
		"no base64":       {`[{"key":"%"}]`, `""`}, "short proof": {`[]`, `"AAAA"`}, "proof a number": {`[]`, `1`},
	} {
		if _, err := parseConditions(json.RawMessage(c[0]), json.RawMessage(c[1])); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, c := range [][2]string{{"", ""}, {"null", "null"}, {"[]", `""`}, {"[" + one + "]", fmt.Sprintf("%q", key)}} {
		if _, err := parseConditions(json.RawMessage(c[0]), json.RawMessage(c[1])); err != nil {
			t.Errorf("%s and %s: %v", c[0], c[1], err)
		}
	}
}

// open makes an allowing verdict leave something open.
func leaving(question frame, proof []byte, signatures ...condition) frame {
	return allowing(question, frame{"conditions": signatures, "proof": proof})
}

func withKey(key ed25519.PrivateKey) nats.Option {
	return nats.Option(func(o *nats.Options) error {
		o.Token = "to.ke.n"
		o.SignatureCB = func(nonce []byte) ([]byte, error) { return ed25519.Sign(key, nonce), nil }
		o.UserJWT = func() (string, error) { return "to.ke.n", nil }
		return nil
	})
}

func TestWhoMeetsTheConditionsIsIn(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	c := e.connect(e.url("client"), withKey(pair(1)))
	q := e.expect("question")
	if q["unmet"] != nil {
		t.Errorf("nothing was unmet yet: %v", q)
	}
	e.send(leaving(q, publicOf(pair(1)), signed(pair(2), "to.ke")))
	c.in()
	told := e.expect("admitted")
	if got := told["connections"].([]any); len(got) != 1 || got[0] != q["connection_id"] {
		t.Errorf("told of %v, want %v", got, q["connection_id"])
	}
	// A verdict that leaves nothing open is not told of: the broker knows.
	d := e.connect(e.url("client"))
	e.send(allowing(e.expect("question")))
	d.in()
	time.Sleep(2 * admissionsApart)
	e.expectNothing()
}

func TestATokenNeedNotComeBackToBeChecked(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	c := e.connect(e.url("client"), withKey(pair(1)))
	q := e.expect("question")
	if q["token"] != "to.ke.n" || q["jwt"] != nil {
		t.Errorf("the token is told twice, or not: %v", q)
	}
	about := signed(pair(2), "to.ke")
	about.Message = nil
	e.send(leaving(q, publicOf(pair(1)), about))
	c.in()
	e.expect("admitted")
}

func TestUnmetConditionsAreAskedAboutOnceMore(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	for name, again := range map[string]func(q frame) (frame, bool){
		"refused": func(q frame) (frame, bool) {
			return frame{"type": "verdict", "id": q["id"], "generation": 7, "allow": false}, false
		},
		"let in":     func(q frame) (frame, bool) { return allowing(q), true },
		"conditions": func(q frame) (frame, bool) { return leaving(q, publicOf(pair(1)), signed(pair(2), "to.ke")), true },
	} {
		c := e.connect(e.url("client"), withKey(pair(1)))
		q := e.expect("question")
		forged := signed(pair(2), "to.ke")
		forged.Message = []byte("forged")
		e.send(leaving(q, publicOf(pair(1)), forged))
		second := e.expect("question")
		if second["unmet"] != true || second["connection_id"] != q["connection_id"] || second["id"] == q["id"] || second["deadline"] != q["deadline"] {
			t.Errorf("%s: asked %v after %v", name, second, q)
		}
		if len(e.sessions.live) != 0 {
			t.Errorf("%s: somebody is in the table who is not in", name)
		}
		answer, in := again(second)
		e.send(answer)
		if !in {
			c.refused()
			continue
		}
		c.in().Close()
		if name == "conditions" {
			e.expect("admitted")
		}
		eventually(t, "the session ends", func() bool { e.sessions.mu.Lock(); defer e.sessions.mu.Unlock(); return len(e.sessions.live) == 0 })
	}
}

func TestConditionsThatNeverHoldRefuse(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	c := e.connect(e.url("client"), withKey(pair(1)))
	e.send(leaving(e.expect("question"), publicOf(pair(9))))
	second := e.expect("question")
	e.send(leaving(second, publicOf(pair(9))))
	e.expectRefusal(causeUnmet, second["id"])
	c.refused()
	e.expectNothing()
}

func TestConditionsOfTheNewPolicyCountToo(t *testing.T) {
	e := startEngine(t, plainConfig, nil)
	c := e.connect(e.url("client"), withKey(pair(1)))
	q := e.expect("question")
	e.send(frame{"type": "generation", "generation": 8})
	eventually(t, "the generation is known", func() bool { return e.gate.generation.Load() == 8 })
	e.send(leaving(q, publicOf(pair(1))))
	second := e.expect("question")
	v := leaving(second, publicOf(pair(1)))
	v["generation"], v["conditions"] = 8, []condition{{Key: publicOf(pair(2)), Signature: make([]byte, 64), Message: []byte("m")}}
	e.send(v)
	third := e.expect("question")
	v = leaving(third, nil)
	v["generation"] = 8
	e.send(v)
	c.in()
	e.expectNothing()
}
