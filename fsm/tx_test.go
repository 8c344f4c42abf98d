package fsm

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestAscend_IsTheSameAfterManyLooks: a call that has looked often sorts its changes, and finds what it found
// by looking at each.
func TestAscend_IsTheSameAfterManyLooks(t *testing.T) {
	h := newHarness(t)
	rapid.Check(t, func(rt *rapid.T) {
		h.m.begin()
		tx := h.m.tx
		defer func() { h.m.tx = nil }()
		key := func() []byte { return []byte{tagRunnable, byte(rapid.IntRange(0, 30).Draw(rt, "key"))} }
		for range rapid.IntRange(1, 60).Draw(rt, "commands") {
			if k := key(); rapid.IntRange(0, 2).Draw(rt, "what") == 0 {
				tx.del(k)
			} else {
				tx.set(k, k)
			}
			low, high, limit := key(), key(), rapid.IntRange(0, 3).Draw(rt, "limit")
			look := func(scans int) (found []string) {
				tx.scans = scans
				tx.ascend(low, high, limit, func(k, _ []byte) { found = append(found, fmt.Sprintf("%x", k)) })
				return found
			}
			if one, sorted := look(0), look(scansMax); fmt.Sprint(one) != fmt.Sprint(sorted) {
				rt.Fatalf("%v, sorted %v", one, sorted)
			}
		}
	})
}
