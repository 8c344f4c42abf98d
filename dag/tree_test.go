package dag

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTree_EveryValueIsTakenOnce walks the levels of random trees: the children of a level are the
// values of the level below, each once and in order; every node is its children's parent; one root.
func TestTree_EveryValueIsTakenOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := Tree{
			Leaves: rapid.Uint64Range(0, 3_000).Draw(t, "leaves"),
			FanIn:  rapid.Uint32Range(0, 40).Draw(t, "fan-in"),
		}
		levels := tree.Levels()
		for level := 1; level <= levels; level++ {
			next := uint64(0)
			for i := range tree.Width(level) {
				n := Node{level, i}
				first, count := tree.Children(n)
				if first != next && count > 0 {
					t.Fatalf("%v takes %d+%d, the node before it ended at %d", n, first, count, next)
				}
				if count == 0 && tree.Leaves > 0 || uint64(count) > tree.fanIn() {
					t.Fatalf("%v takes %d values of fan-in %d", n, count, tree.fanIn())
				}
				next += uint64(count)
				for child := first; level > 1 && child < next; child++ {
					if p, ok := tree.Parent(Node{level - 1, child}); !ok || p != n {
						t.Fatalf("the parent of level %d index %d is %v %v, and %v takes it", level-1, child, p, ok, n)
					}
				}
				if NodeOf(n.Shard()) != n {
					t.Fatalf("%v has shard %x, which is %v", n, n.Shard(), NodeOf(n.Shard()))
				}
			}
			if next != tree.Width(level-1) {
				t.Fatalf("level %d takes %d values of %d", level, next, tree.Width(level-1))
			}
		}
		if tree.Width(levels) != 1 || tree.Root() != (Node{levels, 0}) {
			t.Fatalf("root %v of a level of %d", tree.Root(), tree.Width(levels))
		}
		if p, ok := tree.Parent(tree.Root()); ok {
			t.Fatalf("the root has a parent, %v", p)
		}
	})
}

// TestTree_LargestSizes: nothing overflows at the ends of the ranges, and a node outside takes nothing.
func TestTree_LargestSizes(t *testing.T) {
	for _, tree := range []Tree{{1 << 48, 2}, {1<<64 - 1, 2}, {1<<64 - 1, 1<<32 - 1}, {0, 0}} {
		root := tree.Root()
		if _, count := tree.Children(Node{root.Level, 1<<64 - 1}); count != 0 {
			t.Errorf("%v: a node outside takes %d values", tree, count)
		}
		if tree.Leaves == 0 {
			continue
		}
		last := Node{1, tree.Width(1) - 1}
		if first, count := tree.Children(last); count == 0 || first+uint64(count) != tree.Leaves {
			t.Errorf("%v: the last node takes %d+%d", tree, first, count)
		}
		for at, ok := last, true; ok; at, ok = tree.Parent(at) {
			if at.Index >= tree.Width(at.Level) {
				t.Errorf("%v: %v is outside", tree, at)
			}
		}
	}
}
