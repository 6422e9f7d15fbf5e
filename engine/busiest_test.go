package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestTheBusiestAreToldWithWhatGoesOverThem(t *testing.T) {
	t.Parallel()
	e := startEngine(t, plainConfig, nil)
	var conns []*nats.Conn
	for range 3 {
		c := e.connect(e.url("client"))
		e.answerNext()
		conns = append(conns, c.in())
	}
	ask := func(most int, by string) frame {
		e.send(frame{"type": "sessions", "id": 1, "traffic": true, "busiest": most, "by": by})
		return e.expect("listed")
	}
	first := ask(2, "rate")
	if busy := first["busy"].(frame); busy["seconds"] != 0.0 || busy["connections"] != 3.0 || len(first["sessions"].([]any)) != 2 {
		t.Errorf("the first look: %v", first)
	}
	id, _ := conns[2].GetClientID()
	eventually(t, "rates", func() bool {
		conns[2].Publish("a", make([]byte, 100))
		conns[2].Flush()
		for _, by := range []string{"rate", "bytes", "in"} {
			answer := ask(1, by)
			busiest := answer["sessions"].([]any)[0].(frame)
			rates, all := busiest["rates"].(frame), answer["busy"].(frame)
			if busiest["connection"] != float64(id) || rates["in_bytes"] != 100*rates["in_msgs"].(float64) || rates["in_msgs"] == 0.0 || all["in_msgs"] != rates["in_msgs"] {
				return false
			}
		}
		return true
	})
}

func TestRatesAreTakenOverSomeTimeWhoeverAsksOften(t *testing.T) {
	t.Parallel()
	table, now := newSessions(), time.Now()
	for i, wanted := range []float64{0, 0, 1, 1, 1} {
		_, told := table.busiest(1, "out", now.Add([]time.Duration{0, 1, 1000, 1001, 1300}[i]*time.Millisecond))
		if told.Seconds < wanted || told.Seconds > 1.4*wanted {
			t.Errorf("look %d: over %v s", i, told.Seconds)
		}
	}
}
