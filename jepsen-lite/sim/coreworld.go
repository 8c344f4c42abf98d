package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// coreWorld is engines and state machines on forgetful disks over a Raft that is not hashicorp's: one goroutine
// that decides what is elected, replicated, synced and committed, by Raft's rules. It is for what the log says
// and what becomes of it, and costs a tenth of a whole cluster.
type coreWorld struct {
	plan   Plan
	start  time.Time
	chance *rand.Rand // of the goroutine that runs Raft
	blows  *rand.Rand // of the crashes, under mu
	stop   context.Context

	proposed chan struct{} // capacity 1

	mu      lock // guards what follows
	nodes   []*coreNode
	leader  int // index; -1: none
	life    int // of the leader when it was elected
	ghosts  []*fsm.Machine
	term    uint64
	commit  uint64
	decided []coreEntry // what was ever committed
	open    map[uint64]func(*fsm.Result, error)
	heard   time.Time // when the leader had a majority last
	engine  *engine.Engine
	end     func() // of the engine; nil: it has not begun
	healed  bool
	ops     []history.Op
	fired   map[string]int
	broken  []evidence.Verdict
	err     error
	cut     map[int]bool // workers that see nobody
	workers int
	drop    int // percent of answers to clients that are lost
}

// lock is a mutex, but for one thing: who waits for it is blocked in a way in which a bubble's time goes on. It is
// held over writes to disks, and those may take time.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

const coreLease = 250 * time.Millisecond

func newCoreWorld(p Plan) *coreWorld {
	w := &coreWorld{mu: make(lock, 1), plan: p, chance: dice(p.Seed, "raft"), blows: dice(p.Seed, "blows"), proposed: make(chan struct{}, 1), leader: -1, open: map[uint64]func(*fsm.Result, error){}, fired: map[string]int{}, cut: map[int]bool{}}
	for i := range p.Nodes {
		w.nodes = append(w.nodes, &coreNode{index: i, disk: vfs.NewCrashableMem(), dir: "state", hashes: map[uint64]string{}})
		w.nodes[i].clock.Store(int64(p.Clocks[i]))
	}
	return w
}

func (w *coreWorld) majority() int { return len(w.nodes)/2 + 1 }

// ruler is the leader while it lives; nil: there is none. Precondition: mu is held.
func (w *coreWorld) ruler() *coreNode {
	if w.leader < 0 || !w.nodes[w.leader].up() || w.nodes[w.leader].lives != w.life {
		return nil
	}
	return w.nodes[w.leader]
}

// reachable are the nodes that run and that a node can talk to, itself included. Precondition: mu is held.
func (w *coreWorld) reachable(from *coreNode) (all []*coreNode) {
	for _, n := range w.nodes {
		if n.up() && (n == from || !n.away && !from.away && !n.lags) {
			all = append(all, n)
		}
	}
	return all
}

// raft is the goroutine that runs Raft.
func (w *coreWorld) raft() {
	for w.stop.Err() == nil {
		idle := time.NewTimer(40 * time.Millisecond)
		select {
		case <-w.proposed:
		case <-idle.C:
		case <-w.stop.Done():
		}
		idle.Stop()
		if w.lead() {
			w.replicate()
		} else {
			time.Sleep(time.Duration(50+w.chance.IntN(150)) * time.Millisecond)
			w.elect()
		}
	}
	w.depose()
}

// lead reports whether there is a leader, and ends the term of one that has lost its majority for too long.
func (w *coreWorld) lead() bool {
	w.mu.Lock()
	if w.leader < 0 {
		w.mu.Unlock()
		return false
	}
	n := w.ruler()
	if n != nil && len(w.reachable(n)) >= w.majority() {
		w.heard = time.Now()
	}
	lost := n == nil || time.Since(w.heard) > coreLease
	w.mu.Unlock()
	if lost {
		w.depose()
	}
	return !lost
}

// depose ends the term: what was proposed and not committed may yet be, or not.
func (w *coreWorld) depose() {
	w.mu.Lock()
	end, open := w.end, w.open
	w.leader, w.engine, w.end, w.open = -1, nil, nil, map[uint64]func(*fsm.Result, error){}
	w.mu.Unlock()
	for _, index := range sortedIndexes(open) {
		open[index](nil, engine.ErrOutcomeUnknown)
	}
	if end != nil {
		end()
	}
}

func sortedIndexes(open map[uint64]func(*fsm.Result, error)) (all []uint64) {
	for i := range open {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// elect makes a node the leader that has all that a majority has.
func (w *coreWorld) elect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var able []*coreNode
	for _, c := range w.nodes {
		if !c.up() || c.lags {
			continue
		}
		votes := 0
		for _, v := range w.reachable(c) {
			if c.lastTerm() > v.lastTerm() || c.lastTerm() == v.lastTerm() && len(c.log) >= len(v.log) {
				votes++
			}
		}
		if votes >= w.majority() {
			able = append(able, c)
		}
	}
	if len(able) == 0 {
		return
	}
	c := able[w.chance.IntN(len(able))]
	w.term++
	w.leader, w.life, w.heard = c.index, c.lives, time.Now()
	c.log = append(c.log, coreEntry{term: w.term})
}

// leading is the engine that answers; nil: none.
func (w *coreWorld) leading() *engine.Engine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine
}

// violate notes what is broken. Precondition: mu is held.
func (w *coreWorld) violate(id, rule, text string) {
	v := evidence.Verdict{ID: id, Rule: rule, Count: 1}
	v.Violate(text)
	w.broken = append(w.broken, v)
}
