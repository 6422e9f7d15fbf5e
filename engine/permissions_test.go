package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// admitted connects a client with the permissions and collects what the server complains of.
func admitted(e *testEngine, permissions any) (*nats.Conn, func() string) {
	e.t.Helper()
	var mu sync.Mutex
	var complaints []string
	client := e.connect(e.url("client"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		complaints = append(complaints, strings.ToLower(err.Error()))
	}))
	e.send(allowing(e.expect("question"), frame{"permissions": permissions}))
	return client.in(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(complaints, "\n")
	}
}

func TestPermissionsAreEnforced(t *testing.T) {
	t.Parallel()
	null := any(nil)
	for name, c := range map[string]struct {
		permissions  any
		publish      map[string]bool // subject: does the message arrive
		subscription map[string]bool // "subject" or "subject queue": is it taken
	}{
		"no limits": {null, map[string]bool{"a": true, "$JS.API.x": true}, map[string]bool{"a": true, ">": true, "a q": true}},
		"allowed only": {
			limits(frame{"publish.allow": []string{"a", "b.>"}, "subscribe.allow": []string{"a.*", "q workers"}}),
			map[string]bool{"a": true, "b.c.d": true, "c": false},
			map[string]bool{"a.x": true, "a": false, "b": false, ">": false, "q workers": true, "q others": false, "q": false},
		},
		"denied only": {
			limits(frame{"publish.deny": []string{"a"}, "subscribe.deny": []string{"a", "q workers"}}),
			map[string]bool{"a": false, "b": true},
			map[string]bool{"a": false, "b": true, "q workers": false, "q others": true},
		},
		"deny wins": {
			limits(frame{"publish.allow": []string{">"}, "publish.deny": []string{"a.>"}}),
			map[string]bool{"a.b": false, "b": true}, map[string]bool{"a": true},
		},
		"same subject twice": {
			limits(frame{"publish.allow": []string{"a", "a"}, "subscribe.deny": []string{"b", "b"}}),
			map[string]bool{"a": true, "b": false}, map[string]bool{"a": true, "b": false},
		},
		"nothing at all": {
			limits(frame{"publish.deny": []string{">"}, "subscribe.deny": []string{">"}}),
			map[string]bool{"a": false}, map[string]bool{"a": false, "a q": false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, plainConfig, nil)
			observer, _ := admitted(e, nil)
			client, complaints := admitted(e, c.permissions)
			for subject, arrives := range c.publish {
				sub, err := observer.SubscribeSync(subject)
				if err != nil || observer.Flush() != nil {
					t.Fatal(err)
				}
				if err := client.Publish(subject, nil); err != nil || client.Flush() != nil || observer.Flush() != nil {
					t.Fatal(err)
				}
				if pending, _, err := sub.Pending(); err != nil || (pending == 1) != arrives {
					t.Errorf("publish to %s: %d messages arrived (%v), complaints %q", subject, pending, err, complaints())
				}
				if err := sub.Unsubscribe(); err != nil {
					t.Fatal(err)
				}
			}
			for entry, taken := range c.subscription {
				subject, queue, _ := strings.Cut(entry, " ")
				sub, err := client.QueueSubscribeSync(subject, queue)
				if err != nil || client.Flush() != nil {
					t.Fatal(err)
				}
				message := strings.NewReplacer("*", "x", ">", "x").Replace(subject)
				if err := observer.Publish(message, nil); err != nil || observer.Flush() != nil {
					t.Fatal(err)
				}
				_, err = sub.NextMsg(map[bool]time.Duration{true: patience, false: 20 * time.Millisecond}[taken])
				if (err == nil) != taken {
					t.Errorf("subscription to %s: %v, complaints %q", entry, err, complaints())
				}
				sub.Unsubscribe()
			}
		})
	}
}

func TestAccountsAreApart(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	here, _ := admitted(e, nil)
	client := e.connect(e.url("client"))
	e.send(allowing(e.expect("question"), frame{"account": "other"}))
	there := client.in()
	sub, err := there.SubscribeSync(">")
	if err != nil || there.Flush() != nil {
		t.Fatal(err)
	}
	if err := here.Publish("a", nil); err != nil || here.Flush() != nil || there.Flush() != nil {
		t.Fatal(err)
	}
	if pending, _, err := sub.Pending(); err != nil || pending != 0 {
		t.Errorf("%d messages crossed from one account to the other (%v)", pending, err)
	}
}
