package main

import "time"

const (
	// clientPatience is how long Choria programs wait for their login, from the moment they are connected.
	clientPatience = 2 * time.Second
	// inTime and tooLate are how long a login may occupy this machine, on average: with less there is room for more at
	// once, with more there are too many. A handshake alone takes about a millisecond, with an RSA key of 4096 bits five.
	inTime  = 40 * time.Millisecond
	tooLate = 80 * time.Millisecond
	// slow is how long logins take in all from when on it is this machine's fault that clients give up on the way: what it has
	// not noticed yet it does not count as its own time.
	slow = 250 * time.Millisecond
	// enough logins make an average; fewer do after longestLook.
	enough      = 8
	longestLook = 100 * time.Millisecond
	// nothingDone is how long no login at all may succeed, while clients give up on the way.
	nothingDone = time.Second
	// leastPerCore and firstPerCore are how many logins are worked on at once, at least and to begin with.
	leastPerCore = 8
	firstPerCore = 16
	// leastSpare and mostSpare bound the part of the clients' patience that is kept for the login itself. It grows by
	// spareMore while more than one in fewInVain gives up on the way, and shrinks by spareLess when not.
	leastSpare = 100 * time.Millisecond
	mostSpare  = time.Second
	spareMore  = 50 * time.Millisecond
	spareLess  = 10 * time.Millisecond
	fewInVain  = 20
)

// pace decides how many logins are worked on at once, by what became of those before. It knows neither clock nor
// sockets. Only logins that succeed count, so strangers have no say.
//
// Time that the machine needs tells whether there are too many, not time that a peer takes: a slow network leaves room
// for more at once, and silence does not keep others out.
type pace struct {
	least, most int
	limit       int
	patience    time.Duration // of clients
	late        bool          // it was too much since somebody began to wait: the limit grows slowly from then on

	inVain   int           // begun, and given up by the client, since the last decision
	finished int           // since the last decision
	worked   time.Duration // that they took of this machine
	took     time.Duration // that they took in all
	looked   time.Duration // since the last decision
	reached  bool          // the limit kept somebody waiting since the last decision

	usual time.Duration // that a login takes in all, lately
	extra time.Duration // kept for it beyond twice that, since clients gave up on the way
}

// newPace begins with what a machine with so many cores can be expected to do.
func newPace(cores, most int) pace {
	p := pace{limit: firstPerCore * cores, patience: clientPatience, usual: leastSpare / 2}
	p.bound(cores, most)
	return p
}

// bound sets the upper limit.
func (p *pace) bound(cores, most int) {
	p.most = max(most, 1)
	p.least = min(leastPerCore*cores, p.most)
	p.limit = min(max(p.limit, p.least), p.most)
}

// admits tells whether one more may be begun beside so many, and notes that somebody waits when not.
func (p *pace) admits(working int) bool {
	if working < p.limit {
		return true
	}
	p.reached = true
	return false
}

// finish counts a login that succeeded: how long this machine was busy with it or late for it, and how long it took in all.
func (p *pace) finish(worked, took time.Duration) {
	p.finished++
	p.worked += worked
	p.took += took
}

// lose counts a login for which its client had waited, and which it gave up nevertheless.
func (p *pace) lose() { p.inVain++ }

// look decides anew, where there is enough to decide by; so much time has passed since it was called last. Where this
// machine is idle, that nobody comes in does not tell of too many.
func (p *pace) look(passed time.Duration, idle bool) {
	p.looked += passed
	given := p.inVain*fewInVain > p.finished // up, by more clients than a few
	switch {
	case p.finished == 0 && given && p.looked >= nothingDone:
		if !idle {
			p.limit, p.late, p.extra = p.least, true, mostSpare
		}
	case p.finished == 0 || p.finished < enough && p.looked < longestLook:
		return
	default:
		p.decide(p.worked/time.Duration(p.finished), p.took/time.Duration(p.finished), given)
	}
	p.inVain, p.finished, p.worked, p.took, p.looked, p.reached = 0, 0, 0, 0, 0, false
}

// decide takes the means of what logins needed of the machine, and in all.
func (p *pace) decide(worked, took time.Duration, given bool) {
	switch {
	case worked > tooLate || given && took > slow:
		p.limit, p.late = max(p.limit*4/5, p.least), true
	case worked < inTime && p.reached && p.late:
		p.limit = min(p.limit+max(p.finished/8, 1), p.most)
	case worked < inTime && p.reached:
		p.limit = min(p.limit+p.finished, p.most)
	}
	p.usual += (took - p.usual) / 4
	if given {
		p.extra = min(p.extra+spareMore, mostSpare)
	} else {
		p.extra = max(p.extra-spareLess, 0)
	}
}

// calm notes that nobody waits any more.
func (p *pace) calm() {
	p.late, p.reached = false, false
	p.inVain, p.finished, p.worked, p.took, p.looked = 0, 0, 0, 0, 0
}

// longestWait is how long a connection can wait and still be let in before its client gives up.
func (p *pace) longestWait() time.Duration {
	return p.patience - min(max(2*p.usual+p.extra, leastSpare), mostSpare)
}
