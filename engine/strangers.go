package main

import (
	"container/list"
	"net/netip"
	"time"
)

const (
	// fairTime is how long a stranger may take before somebody else can have its place, where nobody holds many.
	fairTime = time.Second
	// silentTime is the same for one that has not said anything.
	silentTime = 250 * time.Millisecond
)

// stranger is a connection that has not logged in yet.
type stranger struct {
	visitor *visitor // whose it is; a room does not look at it
	room    *room    // that it is in
	since   time.Time
	until   time.Time // when it is closed, unless it has logged in
	group   *group    // nil once it has said who it is
	inOrder *list.Element
	inGroup *list.Element
	silent  *list.Element // nil once it has said something
}

// group is what one address holds of a room. An IPv6 network of 64 bits, which one machine has, counts as an address.
type group struct {
	address netip.Addr
	members *list.List // of *stranger, oldest first
	inTurn  *list.Element
}

// room holds the strangers of one listener. It knows nothing of sockets and clocks, and its owner has a lock.
//
// Who is in it is waiting, in the order of arrival, until it has sent CONNECT, and then asking. Only who is waiting can be
// turned out: for who is asking, the work is done.
type room struct {
	places  int
	waiting *list.List // of *stranger, oldest first
	silent  *list.List // those that wait and have said nothing, the same
	asking  *list.List // the same
	groups  map[netip.Addr]*group
	turns   *list.List            // of *group, whose turn is next first
	bySize  []map[*group]struct{} // groups by their number of members; the last is not empty
}

func newRoom(places int) *room {
	return &room{places: places, waiting: list.New(), silent: list.New(), asking: list.New(), groups: map[netip.Addr]*group{}, turns: list.New(), bySize: make([]map[*group]struct{}, 1)}
}

func (r *room) held() int { return r.waiting.Len() + r.asking.Len() }

func (r *room) full() bool { return r.held() >= r.places }

func groupOf(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address
	}
	network, _ := address.Prefix(64)
	return network.Addr()
}

// enter takes a stranger in.
func (r *room) enter(s *stranger, address netip.Addr) {
	key := groupOf(address)
	s.group = r.groups[key]
	if s.group == nil {
		s.group = &group{address: key, members: list.New()}
		s.group.inTurn = r.turns.PushBack(s.group)
		r.groups[key] = s.group
	}
	s.room = r
	s.inOrder, s.silent = r.waiting.PushBack(s), r.silent.PushBack(s)
	r.resize(s.group, func() { s.inGroup = s.group.members.PushBack(s) })
}

// speaks notes that a stranger has said something.
func (r *room) speaks(s *stranger) {
	if s.silent != nil {
		r.silent.Remove(s.silent)
		s.silent = nil
	}
}

// asks moves a stranger to those that have sent CONNECT.
func (r *room) asks(s *stranger, until time.Time) {
	if s.group == nil {
		return
	}
	r.leave(s)
	s.until = until
	s.inOrder = r.asking.PushBack(s)
}

// leave takes a stranger out: it has logged in, or is gone.
func (r *room) leave(s *stranger) {
	g := s.group
	if g == nil {
		r.asking.Remove(s.inOrder)
		return
	}
	r.waiting.Remove(s.inOrder)
	r.speaks(s)
	r.resize(g, func() { g.members.Remove(s.inGroup) })
	s.group = nil
	if g.members.Len() == 0 {
		delete(r.groups, g.address)
		r.turns.Remove(g.inTurn)
	}
}

// next returns who is first of the address whose turn it is, nil for nobody, and makes it the turn of the next address: so
// who comes alone does not wait for a crowd of one address, and many who come alone go in the order of arrival.
func (r *room) next() *stranger {
	first := r.turns.Front()
	if first == nil {
		return nil
	}
	r.turns.MoveToBack(first)
	return first.Value.(*group).oldest()
}

// resize changes the number of a group's members and keeps bySize true.
func (r *room) resize(g *group, change func()) {
	delete(r.bySize[g.members.Len()], g)
	change()
	size := g.members.Len()
	for len(r.bySize) <= size {
		r.bySize = append(r.bySize, map[*group]struct{}{})
	}
	if size > 0 {
		r.bySize[size][g] = struct{}{}
	}
	for last := len(r.bySize) - 1; last > 0 && len(r.bySize[last]) == 0; last-- {
		r.bySize = r.bySize[:last]
	}
}

// share is how many places an address holds.
func (r *room) share(address netip.Addr) int {
	if g := r.groups[groupOf(address)]; g != nil {
		return g.members.Len()
	}
	return 0
}

// victim returns who is to go so that a newcomer of an address can come, nil for nobody. Whoever holds much more than
// the newcomer's address gives a place up at once. Otherwise somebody goes who has had its time: of the newcomer's own
// address where that holds as much as any, else of one that holds more, and who has said nothing goes earlier. So neither a crowd of one address nor a crowd of
// many can keep others out for ever, and a rush of good logins does not eat itself.
func (r *room) victim(newcomer netip.Addr, now time.Time) *stranger {
	largest, share := len(r.bySize)-1, r.share(newcomer)
	candidate := r.oldest()
	switch {
	case share > 0 && share == largest:
		candidate = r.groups[groupOf(newcomer)].oldest()
	case largest > 1:
		for g := range r.bySize[largest] {
			candidate = g.oldest()
			break
		}
	}
	if candidate != nil && (largest > share+1 || now.Sub(candidate.since) >= fairTime) {
		return candidate
	}
	if first := r.silent.Front(); first != nil && share <= 1 && now.Sub(first.Value.(*stranger).since) >= silentTime {
		return first.Value.(*stranger)
	}
	return nil
}

func (g *group) oldest() *stranger { return g.members.Front().Value.(*stranger) }

// oldest returns who has been waiting longest.
func (r *room) oldest() *stranger {
	if first := r.waiting.Front(); first != nil {
		return first.Value.(*stranger)
	}
	return nil
}

// late returns those whose time is over.
func (r *room) late(now time.Time) []*stranger {
	var late []*stranger
	for _, each := range []*list.List{r.waiting, r.asking} {
		for e := each.Front(); e != nil && !now.Before(e.Value.(*stranger).until); e = e.Next() {
			late = append(late, e.Value.(*stranger))
		}
	}
	return late
}
