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

// limited are permissions, and what whoever has them may do.
var limited = map[string]struct {
	permissions  any
	publish      map[string]bool // subject: does the message arrive
	subscription map[string]bool // "subject" or "subject queue": is it taken
}{
	"no limits": {nil, map[string]bool{"a": true, "$JS.API.x": true}, map[string]bool{"a": true, ">": true, "a q": true}},
	"allowed only": {
		limits(frame{"publish.allow": []string{"a", "b.>"}, "subscribe.allow": []string{"a.*", "q workers"}}),
		map[string]bool{"a": true, "b.c.d": true, "c": false},
		map[string]bool{"a.x": true, "a": false, "b": false, ">": false, "q workers": true, "q others": false, "q": false},
	},
	"one part": {
		limits(frame{"subscribe.allow": []string{"a.*", "*.c", "b.c.*", "a.reply.>", "q.* workers"}}),
		map[string]bool{"a": true},
		map[string]bool{
			"a.x": true, "a.*": true, "a.>": false, "a.x.>": false, "*.>": false, ">": false, "a.> q": false, "a.* q": true,
			"a.reply.>": true, "a.reply.x.y": true, "b.c.>": false, "b.c.x": true, "b.c": true, "b.>": false, "x.c": true,
			"q.> workers": false, "q.>": false, "q.x workers": true, "q.x others": false, "q.*": false,
		},
	},
	"any one part": {
		limits(frame{"subscribe.allow": []string{"*", "*.b.*", "x.y.z.>"}}),
		map[string]bool{"a": true},
		map[string]bool{
			"a": true, "*": true, ">": false, "a.>": false, "*.b.>": false, "a.b.>": false, "a.b.c": true, "a.b.*": true,
			"x.y.z.>": true, "x.y.>": false, "a.b.c.d": false,
		},
	},
	"allowed anyway": {
		limits(frame{"subscribe.allow": []string{"a.*", "a.>", "*.b.*", "x.b.>", "*.*.* workers", "y.*.> workers", "c.* q.1", "c.> q.*", "d.*", "d.> q"}}),
		map[string]bool{"a": true},
		map[string]bool{
			"a.>": true, "a.x.y": true, "x.b.>": true, "*.b.>": false, "z.b.>": false, "z.b.c": true, "c.> q.1": true, "c.> q.2": true,
			"c.>": false, "c.x": false, "y.z.> workers": true, "y.z.> others": false, "z.z.> workers": false, "z.z.z workers": true,
			"d.>": false, "d.> q": true, "d.x": true, "d.> r": false,
		},
	},
	"one part and denied": {
		limits(frame{"subscribe.allow": []string{"a.*"}, "subscribe.deny": []string{"a.x", "b"}}),
		map[string]bool{"a": true},
		map[string]bool{"a.x": false, "a.y": true, "a.>": false, "b": false},
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
}

func TestPermissionsAreEnforced(t *testing.T) {
	t.Parallel()
	for name, c := range limited {
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

func TestOnePartAndWhatLiesBelow(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	observer, _ := admitted(e, nil)
	client, complaints := admitted(e, limits(frame{"subscribe.allow": []string{"a.*", "a.*.b", "*.reply.x.>"}}))
	var subs []*nats.Subscription
	for _, subject := range []string{"a.*", "a.*.b", "a.reply.x.*", "a.>"} {
		sub, err := client.SubscribeSync(subject)
		if err != nil || client.Flush() != nil {
			t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	for _, subject := range []string{"a.c", "a.c.b", "a.c.d", "a.reply.x.1", "a.reply.y.1"} {
		if err := observer.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if observer.Flush() != nil || client.Flush() != nil {
		t.Fatal("no answer")
	}
	for i, want := range []int{1, 1, 1, 0} {
		if pending, _, err := subs[i].Pending(); err != nil || pending != want {
			t.Errorf("%s received %d messages (%v), complaints %q", subs[i].Subject, pending, err, complaints())
		}
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
