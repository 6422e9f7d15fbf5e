package main

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mostRemembered is how many verdicts are kept, and mostRememberedBytes about what they may take together.
	mostRemembered      = 10_000
	mostRememberedBytes = 32 << 20
	// longestRemembered bounds how long one is kept whatever it says: a clock that is set back must not make it longer.
	longestRemembered = 5 * time.Minute
	// mostBehind is how many frames the broker may not have taken while connections are let in without asking it: it has to
	// be told of all of them.
	mostBehind = 256
	// forgetVerdictsEvery is how often those are let go of whose time is over.
	forgetVerdictsEvery = 30 * time.Second
)

// reach says for which other connections a verdict is good.
type reach struct {
	Until   int64 `json:"until"`    // Unix milliseconds
	OfClass bool  `json:"of_class"` // all of this kind and class of TLS that send nothing to be known by
}

func parseReach(raw json.RawMessage) (*reach, error) {
	if isNull(raw) {
		return nil, nil
	}
	r, usual := usualReach(raw)
	if !usual {
		r = reach{}
	}
	if !usual && json.Unmarshal(raw, &r) != nil || r.Until <= 0 || r.Until > math.MaxInt64/2 {
		return nil, errors.New("field 'reach' is not an object with a time")
	}
	return &r, nil
}

type memoryKey [sha256.Size]byte

type rememberedVerdict struct {
	key    memoryKey
	v      verdict
	stored time.Time
	size   int
}

// memory keeps verdicts that are good for other connections too. It holds nothing of an older generation than the gate's:
// what is kept while that moves is looked at against it, and whoever admits by a verdict looks once more afterwards.
type memory struct {
	gate   *gate
	secret []byte // so that nobody can choose keys

	mu     sync.Mutex
	known  map[memoryKey]*list.Element
	oldest list.List // of *rememberedVerdict, in the order in which they were kept
	bytes  int

	used atomic.Uint64
}

func newMemory(g *gate) *memory {
	m := &memory{gate: g, secret: make([]byte, 32), known: map[memoryKey]*list.Element{}}
	rand.Read(m.secret) // It never fails.
	return m
}

// find returns a verdict that holds for a connection, with the proof looked at anew.
func (m *memory) find(q *question, now time.Time) (verdict, bool) {
	select {
	case <-m.gate.halted:
		return verdict{}, false
	default:
	}
	if q.Kind == kindInProcess || m.empty() || m.gate.outbox.len() >= mostBehind {
		return verdict{}, false
	}
	var v verdict
	ok := false
	if q.sendsNothing() {
		if v, ok = m.get(m.ofClass(q), now); ok {
			v.holder, ok = holderOfClass(v.holder, q)
		}
	}
	if !ok {
		v, ok = m.get(m.ofConnection(q), now)
	}
	if !ok || !v.conditions.hold(q.Nonce, q.Signature, q.Token) {
		return verdict{}, false
	}
	m.used.Add(1)
	return v, true
}

func (m *memory) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.known) == 0
}

func (m *memory) get(key memoryKey, now time.Time) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	place := m.known[key]
	if place == nil {
		return verdict{}, false
	}
	found := place.Value.(*rememberedVerdict)
	if found.over(now) || found.v.generation != m.gate.generation.Load() {
		m.forget(place)
		return verdict{}, false
	}
	return found.v, true
}

// keep remembers a verdict by which a connection was let in, if it is good for others.
func (m *memory) keep(q *question, v verdict, now time.Time) {
	if v.reach == nil || v.by != 0 || q.Unmet || q.Kind == kindInProcess {
		return
	}
	found := &rememberedVerdict{key: m.ofConnection(q), v: v, stored: now, size: v.bytes()}
	if v.reach.OfClass {
		if !q.sendsNothing() || len(v.conditions.proof) > 0 {
			return
		}
		found.key = m.ofClass(q)
	}
	// Signatures of the token hold for ever. That of the nonce is looked at each time.
	found.v.conditions.signatures, found.v.by = nil, q.Connection
	m.mu.Lock()
	defer m.mu.Unlock()
	// Whoever moves the generation does so before he empties the memory.
	if v.generation != m.gate.generation.Load() || found.over(now) || found.size > mostRememberedBytes/100 {
		return
	}
	if before := m.known[found.key]; before != nil {
		m.forget(before)
	}
	m.known[found.key] = m.oldest.PushBack(found)
	for m.bytes += found.size; len(m.known) > mostRemembered || m.bytes > mostRememberedBytes; {
		m.forget(m.oldest.Front())
	}
}

// clear forgets everything.
func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.oldest.Init()
	m.known, m.bytes = map[memoryKey]*list.Element{}, 0
}

// forget lets go of one. It wants the lock.
func (m *memory) forget(place *list.Element) {
	found := m.oldest.Remove(place).(*rememberedVerdict)
	delete(m.known, found.key)
	m.bytes -= found.size
}

// tidy lets go of those whose time is over, until nothing more is asked.
func (m *memory) tidy() {
	ticker := time.NewTicker(forgetVerdictsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-m.gate.halted:
			return
		case now := <-ticker.C:
			m.forgetOver(now)
		}
	}
}

func (m *memory) forgetOver(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for place := m.oldest.Front(); place != nil; {
		next := place.Next()
		if place.Value.(*rememberedVerdict).over(now) {
			m.forget(place)
		}
		place = next
	}
}

// over tells whether the time of a verdict is over, by either clock. By a clock that was set back some tokens are of the
// future.
func (r *rememberedVerdict) over(now time.Time) bool {
	moment := now.UnixMilli()
	return moment >= r.v.reach.Until || moment < r.stored.UnixMilli() || now.Sub(r.stored) >= longestRemembered
}

// bytes is about what a verdict takes.
func (v *verdict) bytes() int {
	size := 600 + len(v.account) + len(v.username) + len(v.holder)
	if v.permissions != nil {
		for _, side := range []*server.SubjectPermission{v.permissions.Publish, v.permissions.Subscribe} {
			for _, list := range [][]string{side.Allow, side.Deny} {
				for _, subject := range list {
					size += 16 + len(subject)
				}
			}
		}
	}
	return size
}

// sendsNothing tells whether a client sends nothing that it could be known by.
func (q *question) sendsNothing() bool {
	return q.User == "" && q.Password == "" && q.Token == "" && !q.TokenUnread && q.Signature == "" && q.JWT == "" && q.Nkey == ""
}

// ofConnection is the key of everything that can be known of a connection, but for its number, its nonce, the signature
// of that, and what its program says of itself. It is worked out once for each connection.
func (m *memory) ofConnection(q *question) memoryKey {
	if q.remembered == nil {
		key := m.sum(everythingOf(q))
		q.remembered = &key
	}
	return *q.remembered
}

func everythingOf(q *question) []string {
	told := []string{"connection", q.Kind, q.listener, q.TLS, q.Address, q.User, q.Password, q.Token, q.JWT, q.Nkey, "", ""}
	if q.TokenUnread {
		told[10] = "unread"
	}
	if q.Signature != "" {
		told[11] = "signed"
	}
	if c := q.Certificate; c != nil {
		told = append(told, c.CommonName, c.Serial, c.Issuer, c.Fingerprint)
		for _, each := range c.Intermediates {
			told = append(told, each.Fingerprint, each.Key)
		}
		if c.Authority != nil {
			told = append(told, "authority", c.Authority.Fingerprint, c.Authority.Key)
		}
	}
	return told
}

// ofClass is the key of all connections of a kind and class of TLS that send nothing.
func (m *memory) ofClass(q *question) memoryKey {
	return m.sum([]string{"class", q.Kind, q.listener, q.TLS})
}

func (m *memory) sum(told []string) memoryKey {
	bytes := append(make([]byte, 0, 4096), m.secret...)
	for _, each := range told {
		bytes = binary.AppendUvarint(bytes, uint64(len(each))) // No other texts give the same bytes.
		bytes = append(bytes, each...)
	}
	return sha256.Sum256(bytes)
}

// holderOfClass says whose a connection is that is let in by the verdict of its class: what was said of the one that was
// asked about, with the certificate of this one.
func holderOfClass(asked json.RawMessage, q *question) (json.RawMessage, bool) {
	var said struct {
		Method      json.RawMessage `json:"method,omitempty"`
		Rule        json.RawMessage `json:"rule,omitempty"`
		Certificate *certificate    `json:"certificate,omitempty"`
		Identity    string          `json:"identity,omitempty"`
		Expires     int64           `json:"expires,omitempty"`
	}
	if json.Unmarshal(asked, &said) != nil {
		return nil, false
	}
	said.Certificate, said.Identity, said.Expires = nil, "", 0
	if c := q.Certificate; c != nil && q.TLS == verifiedTLS {
		said.Certificate, said.Identity, said.Expires = c, c.CommonName, c.NotAfter
	}
	holder, err := json.Marshal(said)
	return holder, err == nil && len(holder) <= mostOfHolder
}
