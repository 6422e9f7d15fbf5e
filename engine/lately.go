package main

// lately keeps what was put in or asked for last: at least most of it, and at most twice as many. It has no lock.
type lately[K comparable, V any] struct {
	most           int
	younger, older map[K]V
}

func newLately[K comparable, V any](most int) lately[K, V] {
	return lately[K, V]{most: most, younger: map[K]V{}, older: map[K]V{}}
}

// put takes something in, in place of what the key had. When the younger half is full, the older one is forgotten.
func (l *lately[K, V]) put(key K, value V) {
	if _, there := l.younger[key]; !there && len(l.younger) >= l.most {
		l.younger, l.older = map[K]V{}, l.younger
	}
	delete(l.older, key)
	l.younger[key] = value
}

// get returns what the key has, and makes it one of the younger.
func (l *lately[K, V]) get(key K) (V, bool) {
	if value, there := l.younger[key]; there {
		return value, true
	}
	value, there := l.older[key]
	if there {
		l.put(key, value)
	}
	return value, there
}

func (l *lately[K, V]) drop(key K) {
	delete(l.younger, key)
	delete(l.older, key)
}
