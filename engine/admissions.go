package main

import (
	"encoding/json"
	"sync"
	"time"
)

const (
	// admissionsWithin is how long the broker may be told later of who is in, so that it is told of many at once.
	admissionsWithin = 25 * time.Millisecond
	// mostAdmissions is the most that one frame tells of, so that it is not too large.
	mostAdmissions = 32
)

// admittedOnes tells of connections whose being in the broker does not know by itself.
type admittedOnes struct {
	Type string `json:"type"`
	// Connections were let in by verdicts that had left something open.
	Connections []uint64 `json:"connections,omitempty"`
	// Again were let in by verdicts about others.
	Again []admittedAgain `json:"again,omitempty"`
}

// admittedAgain is a connection that was let in by a verdict about another one.
type admittedAgain struct {
	Connection uint64          `json:"connection"`
	By         uint64          `json:"by"` // the one that the verdict was about
	Address    string          `json:"address"`
	Holder     json.RawMessage `json:"holder"`
	Name       string          `json:"name,omitempty"`
	Language   string          `json:"language,omitempty"`
	Version    string          `json:"version,omitempty"`
	Seconds    float64         `json:"seconds"`
}

// admissions collects what the broker does not know by itself. Whatever else is sent to the broker goes after what was
// collected before it.
type admissions struct {
	mu      sync.Mutex
	waiting admittedOnes
	put     func(told admittedOnes)
}

// tell notes that a connection is in.
func (a *admissions) tell(q *question, v verdict, took time.Duration) {
	if v.by == 0 && !v.conditions.any() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count() == 0 {
		time.AfterFunc(admissionsWithin, a.flush)
	}
	if v.by == 0 {
		a.waiting.Connections = append(a.waiting.Connections, q.Connection)
	} else {
		a.waiting.Again = append(a.waiting.Again, admittedAgain{
			q.Connection, v.by, q.Address, v.holder, q.Name, q.Language, q.Version, took.Seconds(),
		})
	}
	if a.count() == mostAdmissions {
		a.flushLocked()
	}
}

func (a *admissions) count() int { return len(a.waiting.Connections) + len(a.waiting.Again) }

// flush sends what was collected.
func (a *admissions) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
}

func (a *admissions) flushLocked() {
	if a.count() > 0 {
		a.waiting.Type = "admitted"
		a.put(a.waiting)
		a.waiting = admittedOnes{}
	}
}
