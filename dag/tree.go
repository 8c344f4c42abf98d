package dag

import "math/bits"

// Tree is the shape of a fold: a complete tree in which every node takes FanIn values, except the
// last of a level, which takes what is left. Level 1 takes leaves, level n+1 takes the values of
// level n, and the one node of the last level is the root.
//
// A tree is two numbers; nothing of it is stored. A node may run as soon as its own children are
// there, whatever else is missing, so a fold starts before its map has ended.
type Tree struct {
	// Leaves is the number of values to reduce. With none, the tree is one node that takes nothing.
	Leaves uint64
	// FanIn is at least 2; 0 means DefaultFanIn, and 1 is taken as 2.
	FanIn uint32
}

// Node is one task of a fold.
type Node struct {
	// Level counts from 1, next to the leaves.
	Level int
	// Index counts from 0 within the level.
	Index uint64
}

// nodeIndexBits is the width of Index in a shard number. Stored: never change it.
const nodeIndexBits = 48

// Shard is the number under which the node's task is stored: level<<48 | index.
func (n Node) Shard() uint64 { return uint64(n.Level)<<nodeIndexBits | n.Index }

// NodeOf is the node of a shard number made by Shard.
func NodeOf(shard uint64) Node {
	return Node{Level: int(shard >> nodeIndexBits), Index: shard & (1<<nodeIndexBits - 1)}
}

func (t Tree) fanIn() uint64 {
	switch t.FanIn {
	case 0:
		return DefaultFanIn
	case 1:
		return 2
	}
	return uint64(t.FanIn)
}

// Levels is the number of levels, at least 1.
func (t Tree) Levels() int {
	levels := 1
	for width := t.Width(1); width > 1; levels++ {
		width = divideUp(width, t.fanIn())
	}
	return levels
}

// Width is the number of nodes of a level; of level 0, the leaves; above the root, 1.
func (t Tree) Width(level int) uint64 {
	width := t.Leaves
	for range level {
		if width = divideUp(width, t.fanIn()); width <= 1 {
			return 1
		}
	}
	return width
}

// Children are what the node takes: count leaves from first on level 1, nodes of the level below on
// others. A node outside the tree has none.
func (t Tree) Children(n Node) (first uint64, count uint32) {
	below := t.Width(n.Level - 1)
	over, first := bits.Mul64(n.Index, t.fanIn())
	if n.Level < 1 || over != 0 || first >= below {
		return 0, 0
	}
	return first, uint32(min(below-first, t.fanIn()))
}

// Parent is the node that takes this one's value; ok is false for the root.
func (t Tree) Parent(n Node) (parent Node, ok bool) {
	if n.Level >= t.Levels() {
		return Node{}, false
	}
	return Node{Level: n.Level + 1, Index: n.Index / t.fanIn()}, true
}

// Root is the node whose value is the fold's result.
func (t Tree) Root() Node { return Node{Level: t.Levels()} }

func divideUp(n, by uint64) uint64 {
	if n == 0 {
		return 0
	}
	return (n-1)/by + 1
}
