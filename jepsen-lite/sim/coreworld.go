package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// coreWorld is engines and state machines on forgetful disks over a Raft that is not hashicorp's: one goroutine
// that decides what is elected, replicated, synced and committed, by Raft's rules. It is for what the log says
// and what becomes of it, and costs a tenth of a whole cluster.
type coreWorld struct {
	plan   Plan
	start  time.Time
	chance *rand.Rand // of the goroutine that runs Raft
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
	w := &coreWorld{mu: make(lock, 1), plan: p, chance: dice(p.Seed, "raft"), proposed: make(chan struct{}, 1), leader: -1, open: map[uint64]func(*fsm.Result, error){}, fired: map[string]int{}, cut: map[int]bool{}}
	for i := range p.Nodes {
		w.nodes = append(w.nodes, &coreNode{index: i, disk: vfs.NewCrashableMem(), dir: "state", hashes: map[uint64]string{}, clock: p.Clocks[i]})
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

// replicate sends what the leader has, waits for the disks, and commits what a majority has on them.
func (w *coreWorld) replicate() {
	w.mu.Lock()
	l, term := w.ruler(), w.term
	if l == nil {
		w.mu.Unlock()
		return
	}
	last := len(l.log)
	type sent struct {
		n    *coreNode
		life int
	}
	var to []sent
	for _, n := range w.reachable(l) {
		if n != l && w.chance.IntN(100) < 15 { // it is late
			continue
		}
		if err := n.adopt(l.log[:last]); err != nil {
			w.violate("X2", "what was applied is never taken back", err.Error())
		}
		to = append(to, sent{n, n.lives})
	}
	w.mu.Unlock()
	time.Sleep(time.Duration(1+w.chance.Int64N(1+int64(w.plan.Sync/time.Microsecond))) * time.Microsecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ruler() != l || w.term != term {
		return
	}
	on := 0
	for _, s := range to {
		if s.n.up() && s.n.lives == s.life && (s.n == l || !s.n.away && !l.away) {
			s.n.synced = max(s.n.synced, min(last, len(s.n.log)))
			on++
		}
	}
	if on >= w.majority() && uint64(last) > w.commit {
		w.commit = uint64(last)
		w.decided = append(w.decided, l.log[len(w.decided):last]...)
	}
	w.applyAll(l)
	if w.end == nil && w.err == nil && l.applied() >= w.firstOf(l) {
		w.beginEngine(l)
	}
}

// firstOf is the index of the first entry of the leader's term. Precondition: mu is held.
func (w *coreWorld) firstOf(l *coreNode) uint64 {
	i := len(l.log)
	for i > 0 && l.log[i-1].term == w.term {
		i--
	}
	return uint64(i) + 1
}

// applyAll has the nodes apply what is committed, the followers not always at once. Precondition: mu is held.
func (w *coreWorld) applyAll(l *coreNode) {
	for _, n := range w.reachable(l) {
		to := min(w.commit, uint64(len(n.log)))
		if n != l {
			to = min(to, uint64(n.synced))
			if w.chance.IntN(4) == 0 {
				continue
			}
			if !w.agrees(n, to) {
				continue // it has not heard from this leader yet
			}
		}
		results, err := n.apply(to, 1+w.chance.IntN(4))
		if err != nil {
			w.err = errors.Join(w.err, fmt.Errorf("n%d: %w", n.index+1, err))
			return
		}
		if n != l {
			continue
		}
		for _, index := range sortedIndexes(w.open) {
			if index <= to {
				w.open[index](results[index], nil)
				delete(w.open, index)
			}
		}
		if w.plan.Threshold < 100 && w.commit%w.plan.Threshold == 0 {
			_, err := n.machine.Flush()
			w.err = errors.Join(w.err, err)
		}
	}
}

// agrees reports whether a node's log is the committed one up to an index. Precondition: mu is held.
func (w *coreWorld) agrees(n *coreNode, to uint64) bool {
	return to == 0 || n.log[to-1].term == w.decided[to-1].term
}

// beginEngine begins the leader's work. Precondition: mu is held.
func (w *coreWorld) beginEngine(l *coreNode) {
	clock := l
	e, err := engine.New(engine.Config{
		Log: &coreLog{w, w.term}, Machine: l.machine, EntryCommands: 1 + w.chance.IntN(8),
		Clock: func() time.Time { return time.Now().Add(clock.clock) },
	})
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.engine = e
	w.end = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		if err := e.Run(ctx); err != nil && !errors.Is(err, engine.ErrNotLeader) && !errors.Is(err, engine.ErrOutcomeUnknown) {
			w.mu.Lock()
			w.err = errors.Join(w.err, err)
			w.mu.Unlock()
		}
	}()
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

// simulateCore runs a plan of engines and machines.
func simulateCore(p Plan, r *Result) error {
	w := newCoreWorld(p)
	stop, cancel := context.WithCancel(context.Background())
	w.stop = stop
	for _, n := range w.nodes {
		if err := n.disk.MkdirAll("state", 0o755); err != nil {
			cancel()
			return err
		}
		if err := n.open(); err != nil {
			cancel()
			return err
		}
	}
	w.start = time.Now()
	var raft, actors, ops, faults sync.WaitGroup
	raft.Go(w.raft)
	w.workers = p.Workers
	for i := range p.Workers {
		actors.Go(func() { w.work(i) })
	}
	for _, o := range p.Ops {
		ops.Go(func() { w.op(o) })
	}
	for _, f := range p.Faults {
		faults.Go(func() { w.fault(f) })
	}
	time.Sleep(p.Load)
	w.heal()
	faults.Wait()
	ended := make(chan struct{})
	go func() { ops.Wait(); close(ended) }()
	w.settle(ended)
	f := w.last()
	cancel()
	actors.Wait()
	<-ended
	raft.Wait()
	for _, n := range w.nodes {
		if n.up() {
			w.ghosts = append(w.ghosts, n.machine)
		}
	}
	for _, m := range w.ghosts {
		w.err = errors.Join(w.err, m.Close())
	}
	f.plan, f.start, f.ops, f.broken, f.took = p, w.start, w.ops, w.broken, time.Since(w.start)
	r.Fired, r.Ops = w.fired, len(w.ops)
	if w.err != nil {
		return w.err
	}
	if len(w.broken) > 0 && f.index == 0 {
		r.Broken = w.broken
		return nil
	}
	f.logs = append(f.logs, ledger.Node{ID: "the cluster", Walk: records(w.decided), Applied: f.index})
	return r.judge(f)
}

// settle waits until everything has ended.
func (w *coreWorld) settle(ended chan struct{}) {
	limit := time.Now().Add(2 * time.Minute)
	for time.Now().Before(limit) {
		select {
		case <-ended:
			w.mu.Lock()
			var m *fsm.Machine
			if l := w.ruler(); l != nil && w.engine != nil {
				m = l.machine
			}
			failed := w.err != nil
			w.mu.Unlock()
			if failed || m != nil && runningJob(m) == "" {
				return
			}
		default:
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	text := "a call of a client has not succeeded"
	for _, n := range w.nodes {
		if n.up() {
			if job := runningJob(n.machine); job != "" {
				text = job
			}
		}
	}
	w.violate("L1", "everything ends after healing", text)
}

// last is the hash of all nodes at one index.
func (w *coreWorld) last() (f found) {
	for range 100 {
		if e := w.leading(); e != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			index, err := e.HashState(ctx)
			cancel()
			if err == nil {
				f.index = index
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.final = map[string]string{}
	for range 200 {
		w.mu.Lock()
		for _, n := range w.nodes {
			if h, ok := n.hashes[f.index]; ok {
				f.final[fmt.Sprint("n", n.index+1)] = h
			}
		}
		done := len(f.final) == len(w.nodes) || w.err != nil
		w.mu.Unlock()
		if done {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return f
}
