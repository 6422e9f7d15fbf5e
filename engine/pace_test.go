package main

import (
	"testing"
	"time"
)

// looked has so many logins finish, each of which takes as long of the machine and as long in all, and looks.
func looked(p *pace, count int, worked, took time.Duration) {
	for range count {
		p.finish(worked, took)
	}
	p.look(beatEvery, false)
}

func TestHowManyLoginsAreWorkedOnAtOnce(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		worked []time.Duration // mean of each look, of 10 logins
		all    bool            // as many as may be are worked on
		limit  int
	}{
		"to begin with":                      {nil, true, 32},
		"in time, and others wait":           {[]time.Duration{ms}, true, 42},
		"in time, and nobody waits":          {[]time.Duration{ms}, false, 32},
		"neither in time nor late":           {[]time.Duration{inTime, tooLate}, true, 32},
		"too late":                           {[]time.Duration{tooLate + ms}, true, 25},
		"too late again":                     {[]time.Duration{tooLate + ms, tooLate + ms}, true, 20},
		"never less than the least":          {[]time.Duration{time.Second, time.Second, time.Second, time.Second}, true, 16},
		"in time again, in small steps":      {[]time.Duration{time.Second, ms, ms}, true, 27},
		"never more than the operator wants": {[]time.Duration{ms, ms, ms, ms, ms, ms, ms}, true, 100},
	} {
		p := newPace(2, 100)
		for _, worked := range c.worked {
			if got := p.admits(p.limit - 1); !got {
				t.Errorf("%s: one less than the limit is too many", name)
			}
			if c.all && p.admits(p.limit) {
				t.Errorf("%s: more than the limit", name)
			}
			looked(&p, 10, worked, worked)
		}
		if p.limit != c.limit {
			t.Errorf("%s: %d at once, not %d", name, p.limit, c.limit)
		}
	}
}

func TestAFewLoginsAreNoAverage(t *testing.T) {
	t.Parallel()
	p := newPace(2, 100)
	looked(&p, enough-1, time.Second, time.Second)
	if p.limit != 32 {
		t.Errorf("too few logins changed it to %d", p.limit)
	}
	for range longestLook / beatEvery {
		p.look(beatEvery, false)
	}
	if p.limit != 25 {
		t.Errorf("after a while they count: %d", p.limit)
	}
	p.look(time.Hour, false)
	if p.limit != 25 {
		t.Errorf("nothing finished, and it is %d", p.limit)
	}
}

func TestWhenNobodyWaitsTheLimitMayGrowFast(t *testing.T) {
	t.Parallel()
	p := newPace(2, 100)
	looked(&p, 10, time.Second, time.Second)
	p.calm()
	p.admits(p.limit)
	looked(&p, 10, time.Millisecond, time.Millisecond)
	if p.limit != 35 {
		t.Errorf("%d at once", p.limit)
	}
}

func TestTheUpperLimitCanChange(t *testing.T) {
	t.Parallel()
	p := newPace(4, 1000)
	for _, c := range []struct{ most, least, limit int }{{50, 32, 50}, {10, 10, 10}, {0, 1, 1}, {500, 32, 32}} {
		p.bound(4, c.most)
		if p.least != c.least || p.limit != c.limit {
			t.Errorf("at most %d: %d, at least %d", c.most, p.limit, p.least)
		}
	}
}

func TestHowLongAClientCanWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took time.Duration
		want time.Duration
	}{
		"quick logins":    {time.Millisecond, clientPatience - leastSpare},
		"usual logins":    {200 * time.Millisecond, clientPatience - 400*time.Millisecond},
		"logins too slow": {time.Minute, clientPatience - mostSpare},
	} {
		p := newPace(2, 100)
		for range 60 {
			looked(&p, 10, 0, c.took)
		}
		if got := p.longestWait(); got < c.want || got > c.want+time.Millisecond {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestWhoGivesUpOnTheWayIsBegunEarlierOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := newPace(2, 100)
	step := func(lost int) time.Duration {
		for range lost {
			p.lose()
		}
		looked(&p, 2*fewInVain, 0, 0)
		return p.longestWait()
	}
	before := step(2) // One in twenty is few.
	if before != clientPatience-leastSpare {
		t.Errorf("%s, with next to none lost", before)
	}
	for range 5 {
		step(3)
	}
	if more := p.longestWait(); more >= before {
		t.Errorf("%s after many were lost", more)
	}
	for range 100 {
		step(40)
	}
	if least := p.longestWait(); least != clientPatience-mostSpare {
		t.Errorf("%s, with all lost", least)
	}
	for range 200 {
		step(0)
	}
	if again := p.longestWait(); again != before {
		t.Errorf("%s when none is lost any more", again)
	}
}

func TestWhoGivesUpWhileLoginsAreSlowShowsThatThereAreTooMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		finished, lost int
		took           time.Duration
		limit          int
	}{
		"slow, and many give up":    {10, 3, 2 * slow, 25},
		"slow, and nobody gives up": {10, 0, 2 * slow, 32},
		"quick, and many give up":   {10, 9, slow, 32},
		"nothing gets done":         {0, 3, 0, 16},
		"nobody comes":              {0, 0, 0, 32},
	} {
		p := newPace(2, 100)
		for range c.lost {
			p.lose()
		}
		for range c.finished {
			p.finish(0, c.took)
		}
		for range nothingDone / beatEvery {
			p.look(beatEvery, false)
		}
		if p.limit != c.limit {
			t.Errorf("%s: %d at once, not %d", name, p.limit, c.limit)
		}
	}
}

// TestAnIdleMachineIsNotTooSlow has nobody come in for a while, since those that come do nothing.
func TestAnIdleMachineIsNotTooSlow(t *testing.T) {
	for idle, limit := range map[bool]int{true: 2 * firstPerCore, false: 2 * leastPerCore} {
		p := newPace(2, 1000)
		p.lose()
		p.look(nothingDone, idle)
		if p.limit != limit || p.inVain != 0 {
			t.Errorf("idle %v: %d at once, not %d", idle, p.limit, limit)
		}
	}
}
