package fsm

import "github.com/fanfold/fanfold/dag"

// groupShard is the shard of a runnable key that stands for a whole group: the next shard of a map,
// or the next leaf node of a fold, whichever its cursor names.
const groupShard = ^uint64(0)

// group is a map or fold step as one object. A fan-out to a million items costs one record: shards
// get records of their own only while they are leased, wait for a retry, or are dead, and never more
// than MaxParallel at once.
//
// The naive way, a task record for each item, is what breaks every engine that the research looked
// at (workflow-engines.md section 3). A bitmap of finished shards was considered and is not needed: a
// shard below next is done exactly when its result key exists, and that key is written anyway.
type group struct {
	total  uint64   // shards of a map; leaves of a fold
	next   uint64   // the first shard (map) or leaf node (fold over a stored list) not made yet
	limit  uint64   // how many the cursor goes over: total of a map, leaf nodes of a fold, 0 when it streams
	cursor []uint64 // position of next in the input list
	ok     uint64   // tasks that succeeded
	dead   uint64   // shards that are dead, or discarded
	live   uint32   // tasks PENDING, STARTED or RETRY that have records
	held   uint32   // of these, STARTED
	retry  uint32   // of these, RETRY
	crash  uint32
	queued bool   // the group itself is in its lane
	seq    uint64 // its place there
	part   uint64 // queued: its partition; 0 = ""
	dirty  bool

	discarded uint64 // of the dead
}

func (g *group) encode() []byte {
	e := newEnc(64)
	e.uint(g.total)
	e.uint(g.next)
	e.uint(g.limit)
	e.uints(g.cursor)
	e.uint(g.ok)
	e.uint(g.dead)
	e.uint(uint64(g.live))
	e.uint(uint64(g.held))
	e.uint(uint64(g.retry))
	e.uint(uint64(g.crash))
	e.bool(g.queued)
	e.uint(g.seq)
	e.uint(g.part)
	e.uint(g.discarded)
	return e
}

func decodeGroup(b []byte) *group {
	d := newDec("group", b)
	g := new(group)
	g.total = d.uint()
	g.next = d.uint()
	g.limit = d.uint()
	g.cursor = d.uints()
	g.ok = d.uint()
	g.dead = d.uint()
	g.live = d.u32()
	g.held = d.u32()
	g.retry = d.u32()
	g.crash = d.u32()
	g.queued = d.bool()
	g.seq = d.uint()
	g.part = d.uint()
	g.discarded = d.uint()
	d.end()
	return g
}

// tree is the shape of a fold over the group's leaves.
func (g *group) tree(o *dag.Options) dag.Tree {
	return dag.Tree{Leaves: g.total, FanIn: o.FanIn} // 0 is the default
}

// waiting is how many shards the cursor has still to make.
func (g *group) waiting() uint64 { return g.limit - g.next }
