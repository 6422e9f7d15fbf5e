package main

import (
	"container/list"
	"sync"
)

// outbox holds the frames that the broker has not taken yet, oldest first. Nobody who puts one in waits for the broker,
// and what became useless meanwhile can be taken back out, so that a broker that comes to itself finds only what counts.
type outbox struct {
	mu     sync.Mutex
	frames list.List     // of []byte
	filled chan struct{} // holds one when there may be something to take
}

func newOutbox() *outbox { return &outbox{filled: make(chan struct{}, 1)} }

// put adds a frame and returns its place, nil when there are most frames or more in the box.
func (o *outbox) put(frame []byte, most int) *list.Element {
	o.mu.Lock()
	if o.frames.Len() >= most {
		o.mu.Unlock()
		return nil
	}
	place := o.frames.PushBack(frame)
	o.mu.Unlock()
	select {
	case o.filled <- struct{}{}:
	default:
	}
	return place
}

// withdraw takes a frame back out; false when it has been taken already.
func (o *outbox) withdraw(place *list.Element) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.frames.Len()
	o.frames.Remove(place) // Does nothing with what is not in the list any more.
	return o.frames.Len() < before
}

// take returns the oldest frame, nil when there is none.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	oldest := o.frames.Front()
	if oldest == nil {
		return nil
	}
	return o.frames.Remove(oldest).([]byte)
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.frames.Len()
}
