package main

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// Of the answers to passwords from one place the first few come at once, and the others at intervals. Together these
	// are less than 20 in whatever second.
	answersAtOnce   = 4
	answersInterval = time.Second / 15
	// longestAnswer is how long an answer is held back. A guess that would have to wait longer gets none.
	longestAnswer = time.Second
	// maxPlaces bounds for how many places answers are counted on their own. A place is forgotten once it may have all
	// its answers again, after little more than a second.
	maxPlaces = 1 << 14
	// forgetEvery bounds how often places are looked through for those that can be forgotten.
	forgetEvery = 100 * time.Millisecond
	// siteBits is the part of an IPv6 address that is one place: whoever has one address has all of its network.
	siteBits = 64
)

// refusable is a connection that can be refused without an answer; the library is patched for it.
type refusable interface{ EndUnanswered() }

// throttle slows down who guesses passwords. It knows nothing of passwords: right and wrong ones count alike.
type throttle struct {
	mu sync.Mutex
	// next is, for each place, when an answer would be due if they all came at intervals. Those that find no room are one
	// place together.
	next  map[netip.Prefix]time.Time
	swept time.Time
}

func newThrottle() *throttle { return &throttle{next: map[netip.Prefix]time.Time{}} }

// reserve returns how long to wait with the answer to a password; false when there is to be no answer after that.
func (t *throttle) reserve(address string, now time.Time) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place := placeOf(address)
	next, known := t.next[place]
	if !known && len(t.next) >= maxPlaces && !t.sweep(now) {
		place = netip.Prefix{}
		next = t.next[place]
	}
	if next.Before(now) {
		next = now
	}
	wait := next.Sub(now) - (answersAtOnce-1)*answersInterval
	if wait > longestAnswer {
		return longestAnswer, false
	}
	t.next[place] = next.Add(answersInterval)
	return max(0, wait), true
}

// sweep forgets places whose answers were given long ago; false when there is still no room.
func (t *throttle) sweep(now time.Time) bool {
	if now.Sub(t.swept) >= forgetEvery {
		t.swept = now
		for place, next := range t.next {
			if !next.After(now) {
				delete(t.next, place)
			}
		}
	}
	return len(t.next) < maxPlaces
}

// placeOf returns the network whose addresses one peer can be expected to have.
func placeOf(address string) netip.Prefix {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := parsed.BitLen()
	if parsed.Is6() && !parsed.IsLoopback() {
		bits = siteBits
	}
	place, _ := parsed.WithZone("").Prefix(bits)
	return place
}

// holdBack waits until a password may be answered. If there is to be no answer, it closes the connection without one.
func holdBack(t *throttle, g *gate, conn refusable, address string) cause {
	wait, answered := t.reserve(address, time.Now())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.halted:
		return causeStopping
	}
	if answered {
		return causeNone
	}
	conn.EndUnanswered()
	return causeGuessing
}
