package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// crowdOf fills a room with strangers of the addresses, one after the other, a millisecond apart.
func crowdOf(places int, start time.Time, addresses ...string) (*room, []*stranger) {
	r := newRoom(places)
	var all []*stranger
	for i, address := range addresses {
		s := &stranger{since: start.Add(time.Duration(i) * time.Millisecond), until: start.Add(time.Minute)}
		r.enter(s, netip.MustParseAddr(address))
		r.speaks(s)
		all = append(all, s)
	}
	return r, all
}

func TestWhoHasToGo(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		inside   []string
		newcomer string
		after    time.Duration
		victim   int // its number, -1 for nobody
	}{
		"who holds most, its oldest":                {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"}, "10.0.0.1", 0, 1},
		"a crowd makes room for others at once":     {[]string{"10.0.0.2", "10.0.0.2"}, "10.0.0.1", 0, 0},
		"a crowd makes no room for itself":          {[]string{"10.0.0.2", "10.0.0.2"}, "10.0.0.2", 0, -1},
		"a crowd goes before others":                {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.2"}, "10.0.0.2", time.Minute, 1},
		"whose place another had":                   {[]string{"10.0.0.1", "10.0.0.2"}, "10.0.0.2", time.Minute, 1},
		"who holds one more goes before others":     {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.3"}, "10.0.0.2", time.Minute, 2},
		"nobody holds many":                         {[]string{"10.0.0.2", "10.0.0.3"}, "10.0.0.1", 0, -1},
		"nobody holds many, after a second":         {[]string{"10.0.0.2", "10.0.0.3"}, "10.0.0.1", time.Second, 0},
		"an IPv6 network is one address":            {[]string{"2001:db8::9", "2001:db8:1::1", "2001:db8:1::2:0:0:2"}, "2001:db8::1", 0, -1},
		"an IPv6 network is one address, elsewhere": {[]string{"2001:db8::9", "2001:db8:1::1", "2001:db8:1::2:0:0:2"}, "2001:db8:2::1", 0, 1},
		"IPv4 in IPv6 is IPv4":                      {[]string{"::ffff:10.0.0.2", "10.0.0.2"}, "::ffff:10.0.0.3", 0, 0},
		"IPv4 in IPv6 is not one network":           {[]string{"::ffff:10.0.0.2", "::ffff:10.0.0.3"}, "::ffff:10.0.0.4", 0, -1},
		"link local addresses":                      {[]string{"fe80::1%eth0", "fe80::2%eth1"}, "10.0.0.1", 0, 0},
	} {
		r, all := crowdOf(len(c.inside), start, c.inside...)
		var want *stranger
		if c.victim >= 0 {
			want = all[c.victim]
		}
		if got := r.victim(netip.MustParseAddr(c.newcomer), start.Add(c.after)); got != want {
			t.Errorf("%s: not stranger %d", name, c.victim)
		}
	}
}

func TestWhoSaysNothingGoesEarlier(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	r, all := crowdOf(4, start, "10.0.0.1", "10.0.0.2")
	for _, address := range []string{"10.0.0.3", "10.0.0.4"} {
		s := &stranger{since: start, until: start.Add(time.Minute)}
		r.enter(s, netip.MustParseAddr(address))
		all = append(all, s)
	}
	newcomer := netip.MustParseAddr("10.0.0.9")
	if v := r.victim(newcomer, start.Add(silentTime-1)); v != nil {
		t.Error("somebody had to go too early")
	}
	if v := r.victim(newcomer, start.Add(silentTime)); v != all[2] {
		t.Error("not the first who has said nothing")
	}
	r.speaks(all[2])
	if v := r.victim(newcomer, start.Add(silentTime)); v != all[3] {
		t.Error("not the next who has said nothing")
	}
	r.leave(all[3])
	if v := r.victim(newcomer, start.Add(fairTime-1)); v != nil {
		t.Error("who has said something had to go too early")
	}
	if v := r.victim(newcomer, start.Add(fairTime)); v != all[0] {
		t.Error("not the oldest")
	}
}

func TestWhoHasSentConnectIsNotTurnedOut(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	r, all := crowdOf(3, start, "10.0.0.2", "10.0.0.2", "10.0.0.2")
	for _, s := range all {
		r.asks(s, start.Add(time.Hour))
		r.asks(s, start.Add(time.Hour)) // A second CONNECT changes nothing.
	}
	if v := r.victim(netip.MustParseAddr("10.0.0.1"), start.Add(time.Minute)); v != nil || !r.full() || r.oldest() != nil {
		t.Errorf("victim %v, full %t", v, r.full())
	}
	if late := r.late(start.Add(time.Minute)); late != nil {
		t.Errorf("late: %v", late)
	}
	if late := r.late(start.Add(time.Hour)); len(late) != 3 {
		t.Errorf("late after an hour: %v", late)
	}
	for _, s := range all {
		r.leave(s)
	}
	if r.held() != 0 {
		t.Errorf("%d are left", r.held())
	}
}

func TestRoomsKeepCount(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	r, now := newRoom(1000), time.Unix(1000, 0)
	inside := map[*stranger]netip.Addr{}
	for step := range 20_000 {
		now = now.Add(time.Millisecond)
		if len(inside) == 0 || random.IntN(100) < 52 {
			address := netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", random.IntN(20)))
			s := &stranger{since: now, until: now.Add(time.Second)}
			r.enter(s, address)
			inside[s] = address
		} else {
			for s := range inside {
				if random.IntN(3) == 0 {
					r.asks(s, now.Add(time.Second))
				} else {
					r.leave(s)
					delete(inside, s)
				}
				break
			}
		}
		if step%1000 != 0 {
			continue
		}
		waiting, largest := map[netip.Addr]int{}, 0
		for s, address := range inside {
			if s.group != nil {
				waiting[address]++
				largest = max(largest, waiting[address])
			}
		}
		for address, count := range waiting {
			if r.share(address) != count {
				t.Fatalf("step %d: %s holds %d, counted %d", step, address, count, r.share(address))
			}
		}
		if r.held() != len(inside) || len(r.bySize)-1 != largest || len(r.groups) != len(waiting) {
			t.Fatalf("step %d: %d held of %d, largest %d of %d", step, r.held(), len(inside), len(r.bySize)-1, largest)
		}
	}
}

func TestAddressesTakeTurns(t *testing.T) {
	t.Parallel()
	r, all := crowdOf(10, time.Unix(1000, 0), "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1")
	for i, want := range []int{0, 3, 4, 1, 2, 5} {
		s := r.next()
		if s != all[want] {
			t.Fatalf("turn %d is not that of stranger %d", i, want)
		}
		r.leave(s)
	}
	if r.next() != nil || r.turns.Len() != 0 {
		t.Error("somebody is left")
	}
}
