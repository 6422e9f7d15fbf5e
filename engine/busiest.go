package main

import (
	"cmp"
	"slices"
	"time"
)

// shortestSpan is the least time over which rates are taken: who asks more often is told the same span again.
const shortestSpan = 400 * time.Millisecond

// rates is what goes over a connection in a second.
type rates struct {
	InMsgs   float64 `json:"in_msgs"` // from the peer
	InBytes  float64 `json:"in_bytes"`
	OutMsgs  float64 `json:"out_msgs"`
	OutBytes float64 `json:"out_bytes"`
}

// altogether tells of all connections together.
type altogether struct {
	// Seconds over which rates were taken, 0 when nobody has looked before.
	Seconds     float64 `json:"seconds"`
	Connections int     `json:"connections"`
	// Pending are bytes that wait for all of them, Waiting is for how many some do.
	Pending int64 `json:"pending"`
	Waiting int   `json:"waiting"`
	rates
}

// look is what had gone over connections at a moment.
type look struct {
	at      time.Time
	carried map[uint64]carried
	before  *look
}

// orders are the ways to sort connections by what goes over them, those with most first.
var orders = map[string]func(r rates, pending int64) float64{
	"rate":    func(r rates, _ int64) float64 { return r.InMsgs + r.OutMsgs },
	"bytes":   func(r rates, _ int64) float64 { return r.InBytes + r.OutBytes },
	"in":      func(r rates, _ int64) float64 { return r.InMsgs },
	"out":     func(r rates, _ int64) float64 { return r.OutMsgs },
	"pending": func(_ rates, pending int64) float64 { return float64(pending) },
}

// since tells what went over a connection in a second between two looks.
func (c carried) since(before carried, seconds float64) rates {
	if seconds <= 0 {
		return rates{}
	}
	per := func(now, then int64) float64 { return float64(max(now-then, 0)) / seconds }
	return rates{per(c.InMsgs, before.InMsgs), per(c.InBytes, before.InBytes), per(c.OutMsgs, before.OutMsgs), per(c.OutBytes, before.OutBytes)}
}

// rated is a connection with what goes over it.
type rated struct {
	conn  endable
	id    uint64
	score float64
	held  carried
	rates rates
}

// busiest returns the connections over which most goes since the look before, and what goes over all of them. It costs
// one walk over the table, however few are wanted, and keeps some numbers of each connection.
func (t *sessions) busiest(most int, by string, now time.Time) ([]session, altogether) {
	t.mu.Lock()
	all := make([]rated, 0, len(t.live))
	for id, each := range t.live {
		all = append(all, rated{conn: each.conn, id: id})
	}
	t.mu.Unlock()
	current := &look{at: now, carried: make(map[uint64]carried, len(all))}
	before := t.remember(current)
	told := altogether{Connections: len(all)}
	if before != nil {
		told.Seconds = now.Sub(before.at).Seconds()
	}
	score := orders[by]
	for i := range all {
		each := &all[i]
		each.held = carriedBy(each.conn.Traffic())
		current.carried[each.id] = each.held
		if before != nil {
			each.rates = each.held.since(before.carried[each.id], told.Seconds)
		}
		each.score = score(each.rates, each.held.Pending)
		told.add(each)
	}
	top := foremost(all, most)
	shown, size := make([]session, 0, len(top)), 0
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, each := range top {
		live := t.live[each.id]
		if live == nil {
			continue // It has ended meanwhile.
		}
		s := live.session
		s.Traffic, s.Rates = &each.held, &each.rates
		if size += s.bytes(); size > bytesOfPage {
			break
		}
		shown = append(shown, s)
	}
	return shown, told
}

func (a *altogether) add(each *rated) {
	a.InMsgs += each.rates.InMsgs
	a.InBytes += each.rates.InBytes
	a.OutMsgs += each.rates.OutMsgs
	a.OutBytes += each.rates.OutBytes
	a.Pending += each.held.Pending
	if each.held.Pending > 0 {
		a.Waiting++
	}
}

// foremost returns those with the highest score, of the same score those that came first.
func foremost(all []rated, most int) []rated {
	order := func(a, b rated) int {
		if a.score != b.score {
			return cmp.Compare(b.score, a.score)
		}
		return cmp.Compare(a.id, b.id)
	}
	var top []rated
	for _, each := range all {
		if len(top) == most && order(top[most-1], each) < 0 {
			continue
		}
		place, _ := slices.BinarySearchFunc(top, each, order)
		if len(top) == most {
			top = top[:most-1]
		}
		top = slices.Insert(top, place, each)
	}
	return top
}

// remember keeps a look for the next one, and returns the one that it is to be held against, nil without one.
func (t *sessions) remember(current *look) *look {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.looked
	if last != nil && current.at.Sub(last.at) < shortestSpan {
		return last.before
	}
	if last != nil {
		last.before = nil
	}
	current.before, t.looked = last, current
	return last
}
