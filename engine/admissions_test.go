package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// told collects what the broker is told, and when.
type told struct {
	mu     sync.Mutex
	frames []admittedOnes
	at     []time.Time
	some   chan struct{}
}

func collecting() (*told, *admissions) {
	c := &told{some: make(chan struct{}, 1000)}
	return c, &admissions{put: func(frame admittedOnes) {
		c.mu.Lock()
		c.frames, c.at = append(c.frames, frame), append(c.at, time.Now())
		c.mu.Unlock()
		c.some <- struct{}{}
	}}
}

func (c *told) until(t *testing.T, enough func(frames []admittedOnes) bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		c.mu.Lock()
		done := enough(c.frames)
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.some:
		case <-late:
			t.Fatal("the broker was not told")
		}
	}
}

func again(connection uint64, name string) (*question, verdict) {
	q := &question{}
	q.Connection, q.Name = connection, name
	return q, verdict{by: 1, holder: json.RawMessage(`{}`)}
}

func number(frames []admittedOnes) int {
	n := 0
	for _, each := range frames {
		n += len(each.Again)
	}
	return n
}

func TestTheBrokerIsLeftAloneWhileManyComeAgain(t *testing.T) {
	c, a := collecting()
	began := time.Now()
	const all = 60
	for n := range all {
		q, v := again(uint64(n), "node")
		a.tell(q, v, time.Millisecond)
		time.Sleep(5 * time.Millisecond)
	}
	c.until(t, func(frames []admittedOnes) bool { return number(frames) == all })
	took := time.Since(began)
	if most := int(took/admissionsApart) + 2; len(c.frames) > most {
		t.Errorf("told %d times in %v, at most %d were enough", len(c.frames), took, most)
	}
	for n := 1; n < len(c.at); n++ {
		if apart := c.at[n].Sub(c.at[n-1]); apart < admissionsApart-admissionsApart/5 {
			t.Errorf("told again after %v", apart)
		}
	}
	next := uint64(0)
	for _, frame := range c.frames {
		for _, each := range frame.Again {
			if each.Connection != next {
				t.Fatalf("told of %d, want %d", each.Connection, next)
			}
			next++
		}
	}
}

func TestAFrameAboutWhoIsInIsNeverTooLarge(t *testing.T) {
	for name, length := range map[string]int{"short": 10, "long": 8000} {
		t.Run(name, func(t *testing.T) {
			c, a := collecting()
			const all = 3 * mostAdmissions
			for n := range all {
				q, v := again(uint64(n), strings.Repeat("\x01", length))
				a.tell(q, v, time.Millisecond)
			}
			c.until(t, func(frames []admittedOnes) bool { return number(frames) == all })
			for _, frame := range c.frames {
				if len(frame.Again) > mostAdmissions {
					t.Errorf("%d in one frame", len(frame.Again))
				}
				if _, err := encodeFrame(frame); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestALineComesAfterWhatTheBrokerHasToKnowForIt(t *testing.T) {
	c, a := collecting()
	lines := &lockedBuffer{}
	j := newJournal(lines)
	j.precede(a.flush)
	q, v := again(7, "node")
	a.tell(q, v, time.Millisecond)
	j.Errorf("cid:7 - Publish Violation")
	c.mu.Lock()
	defer c.mu.Unlock()
	if number(c.frames) != 1 {
		t.Error("the broker was not told of the connection before the line")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
