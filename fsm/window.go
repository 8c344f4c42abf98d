package fsm

import (
	"cmp"

	"github.com/google/btree"
)

// window holds the first items of a key range in memory, in key order: a lane's runnable tasks, or
// the timers. Pebble has all of them.
//
// The naive way, reading the queue from its start in the LSM, walks over the tombstones of all that
// was consumed: 28 thousand tasks a second. The other naive way, holding the whole queue in memory,
// needs memory in proportion to the backlog. The window holds at most windowMax items and, when it
// runs dry, reads on from the last key that it knew, so no iterator ever walks over consumed keys: a
// million tasks a second at constant memory (performance-spike.md section 4.4). An item that comes
// back behind that key (a lost worker's task keeps its place) goes into memory: such items are
// bounded by the leases.
//
// Invariant: every stored item at or before last is in the tree, and when more is false, every
// stored item is.
type window struct {
	tree *btree.BTreeG[item]
	more bool
	last item
	max  int
}

// item is a key of the range, and the task it stands for. For a lane a is the priority and b the
// sequence number; for the timers a is the due time and b the duty.
type item struct {
	a, b uint64
	ref  TaskRef
}

// compareItems orders items as their keys are ordered.
func compareItems(x, y item) int {
	if c := cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)); c != 0 {
		return c
	}
	return x.ref.compare(y.ref)
}

func lessItem(x, y item) bool { return compareItems(x, y) < 0 }

func newWindow(size int) *window {
	return &window{tree: btree.NewG(16, lessItem), max: size}
}

// push adds an item that has been stored.
func (w *window) push(i item) {
	if w.more && compareItems(i, w.last) > 0 {
		return
	}
	w.tree.ReplaceOrInsert(i)
	if w.tree.Len() <= 2*w.max {
		return
	}
	for w.tree.Len() > w.max {
		w.tree.DeleteMax()
	}
	w.more = true
	w.last, _ = w.tree.Max()
}

// remove takes out an item that is stored no more.
func (w *window) remove(i item) { w.tree.Delete(i) }

// first returns the first item. load reads up to n stored items after the given one, in order.
func (w *window) first(load func(after item, n int) []item) (item, bool) {
	if w.tree.Len() == 0 && w.more {
		w.fill(load(w.last, w.max))
	}
	return w.tree.Min()
}

// fill takes what load returned.
func (w *window) fill(items []item) {
	for _, i := range items {
		w.tree.ReplaceOrInsert(i)
	}
	w.more = len(items) >= w.max
	if w.more {
		w.last = items[len(items)-1]
	}
}
