package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnswersAreLessThanTwentyInWhateverSecond(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{0, time.Microsecond, 10 * time.Millisecond, 49 * time.Millisecond} {
		th, now := newThrottle(), time.Now()
		var answers []time.Time
		for range 3000 {
			now = now.Add(every)
			if wait, ok := th.reserve("192.0.2.1", now); ok {
				answers = append(answers, now.Add(wait))
			} else if wait != longestAnswer {
				t.Fatalf("a guess without an answer is held for %s", wait)
			}
			if wait, ok := th.reserve(fmt.Sprintf("198.51.100.%d", len(answers)%250), now); every > 0 && len(answers) < 4 && (wait != 0 || !ok) {
				t.Fatalf("another place waits for %s", wait)
			}
		}
		for i := range answers {
			if last := i + 19; last < len(answers) && answers[last].Sub(answers[i]) < time.Second {
				t.Fatalf("every %s: 20 answers in %s", every, answers[last].Sub(answers[i]))
			}
		}
		if len(answers) < answersAtOnce {
			t.Errorf("every %s: %d answers", every, len(answers))
		}
	}
}

func TestPlacesOfAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"::1", "::2", false}, {"127.0.0.1", "127.0.0.2", false}, {"", "unknown", true},
	} {
		if same := placeOf(c.one) == placeOf(c.other); same != c.same {
			t.Errorf("%q and %q: %v", c.one, c.other, same)
		}
	}
}

func TestManyPlacesTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	th, now := newThrottle(), time.Now()
	for i := range 4 * maxPlaces {
		th.reserve(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), now)
	}
	if len(th.next) > maxPlaces+1 {
		t.Errorf("%d places", len(th.next))
	}
	now = now.Add(2 * time.Second)
	if wait, ok := th.reserve("192.0.2.1", now); wait != 0 || !ok {
		t.Errorf("a new place waits for %s", wait)
	}
	if len(th.next) != 1 {
		t.Errorf("%d places are kept", len(th.next))
	}
}

// guess logs in with a password and tells whether there was an answer, and whether it was a good one.
func (e *testEngine) guess(password string) (answered, good bool) {
	raw := dialRaw(e.t, e.ports["client"])
	defer raw.Close()
	raw.say(fmt.Sprintf(`CONNECT {"verbose":true,"user":"system","pass":%q}`, password))
	answer, _ := io.ReadAll(io.LimitReader(raw.reader, 4))
	return len(answer) > 0, strings.HasPrefix(string(answer), "+OK")
}

// guessOn tries a password until it is stopped, and counts how often, and how often there was an answer.
func (e *testEngine) guessOn(stop <-chan struct{}, password string, attempts, answers *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		attempts.Add(1)
		if answered, good := e.guess(password); answered {
			answers.Add(1)
			if good != (password == "right") {
				e.t.Errorf("%s: %v", password, good)
			}
		}
	}
}

func TestGuessingIsSlowAndOthersAreNot(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	stop, answering := make(chan struct{}), make(chan struct{})
	refused := 0
	go func() {
		defer close(answering)
		for f := range e.frames {
			switch {
			case f["type"] == "question":
				e.send(allowing(f, frame{"allow": f["password"] == nil || f["password"] == "right"}))
			case f["cause"] == string(causeGuessing):
				refused++
			}
		}
	}()
	var guesses sync.WaitGroup
	var answers, attempts atomic.Int64
	begun := time.Now()
	for i := range 32 {
		password := "wrong"
		if i == 0 {
			password = "right"
		}
		guesses.Go(func() { e.guessOn(stop, password, &attempts, &answers) })
	}
	time.Sleep(longestAnswer + longestAnswer/2)
	before := time.Now()
	e.connect(e.url("client")).in() // Without a password.
	if took := time.Since(before); took > longestAnswer/2 {
		t.Errorf("somebody else waited for %s", took)
	}
	close(stop)
	guesses.Wait()
	if most := 20 * time.Since(begun).Seconds(); float64(answers.Load()) > most {
		t.Errorf("%d answers in %s", answers.Load(), time.Since(begun))
	}
	e.fakeBroker.conn.Close()
	e.waitExit()
	<-answering
	if int64(refused) != attempts.Load()-answers.Load() {
		t.Errorf("%d of %d attempts had no answer, and the broker was told of %d", attempts.Load()-answers.Load(), attempts.Load(), refused)
	}
}

func TestGuessesOfTheClustersLoginAreSlow(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig+`cluster { name: c, listen: "127.0.0.1:-1", authorization { user: u, password: "$2a$secret" } }`, nil)
	var answers atomic.Int64
	var guesses sync.WaitGroup
	begun := time.Now()
	for i := range 40 {
		guesses.Go(func() {
			raw := dialRaw(t, e.ports["cluster"])
			defer raw.Close()
			raw.say(fmt.Sprintf(`CONNECT {"user":"u","pass":"%d"}`, i))
			if answer, _ := io.ReadAll(raw.reader); strings.Contains(string(answer), "Authorization Violation") {
				answers.Add(1)
			}
		})
	}
	guesses.Wait()
	if most := 20 * time.Since(begun).Seconds(); answers.Load() == 0 || float64(answers.Load()) > most {
		t.Errorf("%d answers in %s", answers.Load(), time.Since(begun))
	}
}

func TestTheClustersLoginOpensIt(t *testing.T) {
	t.Parallel()
	login := `authorization { user: u, password: "$2a$secret" }`
	e := startEngine(t, plainConfig+`cluster { name: c, listen: "127.0.0.1:-1", `+login+` }`, nil)
	for password, routes := range map[string]int{"wrong": 0, "$2a$secret": 1} {
		other := startEngine(t, strings.Replace(plainConfig, "server_name: test", "server_name: other", 1)+fmt.Sprintf(
			`cluster { name: c, listen: "127.0.0.1:-1", pool_size: -1, authorization { user: u, password: %q }, routes: [ "nats://u:%s@127.0.0.1:%d" ] }`,
			password, password, e.ports["cluster"]), nil)
		if routes > 0 {
			eventually(t, "the route stands", func() bool { return other.srv.NumRoutes() >= routes && e.srv.NumRoutes() >= routes })
		} else {
			time.Sleep(200 * time.Millisecond) // What must not happen has no event to wait for.
			if other.srv.NumRoutes() > 0 {
				t.Error("a wrong password opened the cluster")
			}
		}
	}
}
