package main

import (
	"sync"
	"time"
)

const (
	// admissionsWithin is how long the broker may be told later of who is in, so that it is told of many at once.
	admissionsWithin = 10 * time.Millisecond
	// mostAdmissions is the most that one frame tells of.
	mostAdmissions = 4096
)

// admissions collects what the broker does not know by itself: who was let in by verdicts that had left something open.
// Whatever else is sent to the broker goes after what was collected before it.
type admissions struct {
	mu      sync.Mutex
	waiting []uint64
	put     func(told admittedOnes)
}

// tell notes that a connection is in.
func (a *admissions) tell(connection uint64, v verdict) {
	if !v.conditions.any() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		time.AfterFunc(admissionsWithin, a.flush)
	}
	if a.waiting = append(a.waiting, connection); len(a.waiting) == mostAdmissions {
		a.flushLocked()
	}
}

// flush sends what was collected.
func (a *admissions) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
}

func (a *admissions) flushLocked() {
	if len(a.waiting) > 0 {
		a.put(admittedOnes{Type: "admitted", Connections: a.waiting})
		a.waiting = nil
	}
}
