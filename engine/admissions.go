package main

import (
	"encoding/json"
	"sync"
	"time"
)

const (
	// admissionsWithin is how long the broker may be told later of who is in, so that it is told of many at once.
	admissionsWithin = 25 * time.Millisecond
	// admissionsApart is how long it is left alone after it was told, while more come: waking it costs several times what
	// noting a connection does.
	admissionsApart = 100 * time.Millisecond
	// mostAdmissions is the most that one frame tells of, and mostAdmittedBytes what makes it full before, about: peers
	// choose how long their names are.
	mostAdmissions    = 128
	mostAdmittedBytes = 128 << 10
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

// admissions collects what the broker does not know by itself. Whatever else is sent to the broker, but for
// questions, goes after what was collected before it.
type admissions struct {
	mu      sync.Mutex
	waiting admittedOnes
	size    int       // bytes of texts that wait, about
	told    time.Time // when the broker was told last
	due     *time.Timer
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
		a.due = time.AfterFunc(max(admissionsWithin, admissionsApart-time.Since(a.told)), a.flush)
	}
	if v.by == 0 {
		a.waiting.Connections = append(a.waiting.Connections, q.Connection)
	} else {
		a.waiting.Again = append(a.waiting.Again, admittedAgain{
			q.Connection, v.by, q.Address, v.holder, q.Name, q.Language, q.Version, took.Seconds(),
		})
		a.size += len(v.holder) + len(q.Name) + len(q.Language) + len(q.Version)
	}
	if a.count() == mostAdmissions || a.size > mostAdmittedBytes {
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
		a.due.Stop()
		a.waiting.Type = "admitted"
		a.put(a.waiting)
		a.waiting, a.size, a.told = admittedOnes{}, 0, time.Now()
	}
}
