package main

import (
	"errors"
	"fmt"
	"time"
)

// ask finds out what holds for a connection and admits it so. When the policy changed meanwhile it asks once more:
// whoever may do the same by the new one stays, since nobody is to be refused for a reload.
func (a *authenticator) ask(conn registrant, q *question, start time.Time, sentToken bool) (cause, error) {
	var admitted *verdict
	for {
		known := a.gate.generation.Load()
		v, why, err := a.answer(q, start, admitted == nil)
		switch {
		case why != causeNone:
			return why, err
		case v.generation < known, admitted != nil && !v.grantsAs(*admitted):
			return causeStaleGeneration, nil
		case admitted == nil:
			if why, err := a.admit(conn, v, sentToken); why != causeNone {
				return why, err
			}
			admitted = &v
		}
		// In the table before the generation is looked at: who asks for sessions after a new one was told sees every
		// connection that is let in by an older one.
		a.enter(conn, q, v)
		if v.generation >= a.gate.generation.Load() {
			a.gate.admissions.tell(q, v, time.Since(start))
			a.memory.keep(q, v, time.Now())
			return causeNone, nil
		}
	}
}

// answer returns a verdict that allows the connection and whose conditions hold: one that is remembered, or the broker's.
func (a *authenticator) answer(q *question, start time.Time, first bool) (verdict, cause, error) {
	if first {
		if v, ok := a.memory.find(q, time.Now()); ok {
			return v, causeNone, nil
		}
	}
	for {
		frame, why := a.gate.ask(q, start)
		if why != causeNone {
			return verdict{}, why, nil
		}
		v, err := parseVerdict(frame)
		switch {
		case err != nil:
			return verdict{}, causeMalformed, fmt.Errorf("malformed verdict: %w", err)
		case !v.allow:
			return verdict{}, causeDenied, nil
		case v.conditions.hold(q.Nonce, q.Signature, q.Token):
			return v, causeNone, nil
		case q.Unmet:
			return verdict{}, causeUnmet, errors.New("the verdict has conditions that do not hold, once more")
		}
		q.Unmet = true // Of this verdict nothing counts: the broker looks itself, and says why the connection is refused.
	}
}

// enter takes a connection into the table of sessions.
func (a *authenticator) enter(conn registrant, q *question, v verdict) {
	if q.Kind == kindInProcess {
		return
	}
	s := describeSession(conn, q.Address, q.TLS)
	s.Username, s.Generation, s.Holder = conn.GetOpts().Username, v.generation, v.holder
	a.sessions.enter(conn, s)
}
