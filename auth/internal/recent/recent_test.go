package recent_test

import (
	"testing"

	"berth/auth/internal/recent"
)

func TestMapForgetsTheLongestUnused(t *testing.T) {
	m := recent.NewMap[string, int](2)
	m.Put("a", 1)
	m.Put("b", 2)
	m.Get("a")
	m.Put("c", 3)
	if _, ok := m.Get("b"); ok {
		t.Error("b is still there; it was not used for longest")
	}
	if v, ok := m.Get("a"); !ok || v != 1 {
		t.Errorf("a = %d, %v", v, ok)
	}
	m.Put("a", 4)
	if v, _ := m.Get("a"); v != 4 || m.Len() != 2 {
		t.Errorf("a = %d with %d values", v, m.Len())
	}
	m.Delete("a")
	m.Delete("a")
	if _, ok := m.Get("a"); ok || m.Len() != 1 {
		t.Error("a is still there after Delete")
	}
}
