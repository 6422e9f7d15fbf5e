package main

import "testing"

func TestFullMemory(t *testing.T) {
	t.Parallel()
	l := newLately[int, int](4)
	for i := range 100 {
		l.put(i, -i)
		if value, ok := l.get(0); !ok || value != 0 {
			t.Fatalf("what is used is forgotten after %d", i)
		}
		for recent := max(0, i-2); recent <= i; recent++ {
			if value, ok := l.get(recent); !ok || value != -recent {
				t.Fatalf("%d is forgotten after %d", recent, i)
			}
		}
		if size := len(l.younger) + len(l.older); size > 8 {
			t.Fatalf("there are %d", size)
		}
	}
	l.drop(99)
	l.drop(0)
	for _, gone := range []int{0, 1, 99} {
		if _, ok := l.get(gone); ok {
			t.Errorf("%d is still there", gone)
		}
	}
}
