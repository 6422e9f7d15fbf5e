package main

import (
	"math"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// relaxAfter is how long descriptors have to suffice before strangers may be more.
	relaxAfter = time.Second
	// fewStrangers are so few that descriptors are not scarce because of them.
	fewStrangers = 16
)

// descriptors are bounds for their numbers, since a new one always gets the lowest that is free.
type descriptors struct {
	scarce uintptr // from here on a newcomer comes in the place of other strangers
	few    uintptr // from here on also where there are next to no others
	last   uintptr // from here on nobody comes in: what is left is for the store and for outgoing links
}

// countDescriptors sets an eighth aside.
func countDescriptors() descriptors {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return descriptors{^uintptr(0), ^uintptr(0), ^uintptr(0)}
	}
	reserve := min(max(limit.Cur/8, 32), 1024, limit.Cur)
	return descriptors{uintptr(limit.Cur - reserve), uintptr(limit.Cur - reserve/2), uintptr(limit.Cur - reserve/4)}
}

// affordable keeps strangers away from the reserve of descriptors. The first who gets one of it shows how many strangers
// are too many; from then on one comes in the place of another: of this listener, else of the one that has most. It
// wants the lock.
func (d *door) affordable(number uintptr, newcomer netip.Addr, now time.Time) bool {
	all := d.doors
	if number >= all.descriptors.scarce {
		all.tooMany(1)
	}
	for all.strangers >= all.most {
		victim := all.victim(d, newcomer, now)
		if victim == nil {
			break
		}
		victim.visitor.door.turnedAway++
		d.turnOut(victim)
	}
	switch {
	case all.strangers < all.most:
		return number < all.descriptors.last
	case all.strangers < fewStrangers: // It is those that are in who need so many.
		return number < all.descriptors.few
	}
	return false
}

// victim returns who is to go so that a newcomer can have a descriptor: of those that wait before those that were begun,
// of its own listener before the one that has most. It wants the lock.
func (d *doors) victim(own *door, newcomer netip.Addr, now time.Time) *stranger {
	crowded := own
	for _, each := range d.listeners {
		if each.strangers() > crowded.strangers() {
			crowded = each
		}
	}
	for _, each := range []*room{own.queue, own.room, crowded.queue, crowded.room} {
		if victim := each.victim(newcomer, now); victim != nil {
			return victim
		}
	}
	return nil
}

// strangers is how many of them can be turned out. It wants the lock.
func (d *door) strangers() int { return d.queue.waiting.Len() + d.room.waiting.Len() }

// tooMany lowers what strangers may be, since there are too many by so much. It wants the lock.
func (d *doors) tooMany(by int) {
	d.most, d.scarcity = max(min(d.most, d.strangers-by), 1), time.Now()
}

// recover frees a descriptor when there was none at all.
func (d *door) recover() {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	d.doors.tooMany(1)
	d.turnedAway++
	for _, each := range []*room{d.queue, d.room} {
		if oldest := each.oldest(); oldest != nil {
			d.turnOut(oldest)
			return
		}
	}
}

// relax lets strangers become more again, step by step, while descriptors suffice. It wants the lock.
func (d *doors) relax(now time.Time) {
	switch {
	case d.most == math.MaxInt || now.Sub(d.scarcity) < relaxAfter:
	case d.most >= (1+queueTimes)*d.places*len(d.listeners):
		d.most = math.MaxInt
	default:
		d.most += 1 + d.most/16
	}
}

func descriptor(conn *net.TCPConn) (number uintptr) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { number = fd })
	}
	return number
}
