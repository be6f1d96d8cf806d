// Package recent keeps a bounded number of values and forgets the one that was not
// used for longest. It bounds what strangers can make the registry remember.
package recent

import (
	"container/list"
	"sync"
)

// Map is a map that never holds more than its limit. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	limit int

	mu    sync.Mutex
	items map[K]*list.Element
	order list.List // the most recently used in front
}

type item[K comparable, V any] struct {
	key   K
	value V
}

// NewMap returns an empty map of at most limit values.
func NewMap[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{limit: limit, items: map[K]*list.Element{}}
}

// Get returns the value of key, which counts as using it.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.items[key]
	if !ok {
		return value, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*item[K, V]).value, true
}

// Put sets the value of key.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.items[key]; ok {
		e.Value.(*item[K, V]).value = value
		m.order.MoveToFront(e)
		return
	}
	m.items[key] = m.order.PushFront(&item[K, V]{key, value})
	if len(m.items) > m.limit {
		oldest := m.order.Back()
		m.order.Remove(oldest)
		delete(m.items, oldest.Value.(*item[K, V]).key)
	}
}

// Delete forgets key.
func (m *Map[K, V]) Delete(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.items[key]; ok {
		m.order.Remove(e)
		delete(m.items, key)
	}
}

// Len counts the values.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}
