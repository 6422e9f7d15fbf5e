package main

import "sync"

// inOrder runs calls one after the other, in the order in which they come, and holds up nobody who hands one in.
type inOrder struct {
	mu      sync.Mutex
	waiting []func()
	busy    bool
}

func (q *inOrder) run(call func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, call)
	if !q.busy {
		q.busy = true
		go q.work()
	}
}

func (q *inOrder) work() {
	for call := q.next(); call != nil; call = q.next() {
		call()
	}
}

// next takes out the call whose turn it is, nil when there is none.
func (q *inOrder) next() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return nil
	}
	call := q.waiting[0]
	q.waiting = q.waiting[1:]
	return call
}
