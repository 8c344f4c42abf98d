package sim

import (
	"errors"
	"fmt"
	"time"
)

// coreFaults are the kinds of faults of the core tier. Each is armed in a quarter of the plans.
var coreFaults = []string{
	"kill",        // a node ends; what it wrote is on its disk
	"power",       // a node loses what it had not synced
	"leader-kill", // as power, of the leader
	"blackout",    // as power, of all nodes
	"away",        // a node is cut off
	"lag",         // a node hears of nothing for a while
	"depose",      // leadership moves
	"install",     // a node is sent the state
	"flush",       // a node flushes its state
	"clock-jump",  // a node's wall clock is set
	"answers",     // answers to clients are lost
	"worker-cut",  // a worker sees nobody
}

func (w *coreWorld) fault(f Fault) {
	time.Sleep(f.At)
	w.mu.Lock()
	if w.healed {
		w.mu.Unlock()
		return
	}
	w.fired[f.Kind]++
	undo := w.strike(f)
	w.mu.Unlock()
	if f.Kind == "depose" {
		w.depose()
	}
	if f.Kind != "worker-cut" { // longer than leases
		f.For /= 4
	}
	for end := time.Now().Add(f.For); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		w.mu.Lock()
		healed := w.healed
		w.mu.Unlock()
		if healed {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	undo()
}

// strike does what a fault says; what is returned undoes it. Precondition: mu is held.
func (w *coreWorld) strike(f Fault) (undo func()) {
	n := w.nodes[f.Node]
	nothing := func() {}
	switch f.Kind {
	case "kill":
		return w.down(n, 100)
	case "power":
		return w.down(n, f.kept())
	case "leader-kill":
		if w.leader >= 0 {
			return w.down(w.nodes[w.leader], f.kept())
		}
	case "blackout":
		for _, one := range w.nodes {
			w.down(one, f.kept())
		}
		return func() {
			for _, one := range w.nodes {
				w.revive(one)
			}
		}
	case "away":
		n.away = true
		return func() { n.away = false }
	case "lag":
		if f.Node != w.leader {
			n.lags = true
		}
		return func() { n.lags = false }
	case "install":
		if l := w.leader; l >= 0 && l != f.Node && n.up() && w.nodes[l].up() && !n.away && !w.nodes[l].away {
			ghost, err := n.install(w.nodes[l])
			if w.err = errors.Join(w.err, err); ghost != nil {
				w.ghosts = append(w.ghosts, ghost)
			}
		}
	case "flush":
		if n.up() {
			_, err := n.machine.Flush()
			w.err = errors.Join(w.err, err)
		}
	case "clock-jump":
		n.clock.Add(int64(f.jump()))
	case "answers":
		w.drop = 20 + f.N/2
		return func() { w.drop = 0 }
	case "worker-cut":
		w.cut[f.Node] = true
		return func() { delete(w.cut, f.Node) }
	}
	return nothing
}

// down crashes a node; what is returned starts it. Precondition: mu is held.
func (w *coreWorld) down(n *coreNode, percent int) (up func()) {
	if n.up() {
		w.ghosts = append(w.ghosts, n.crash(percent, w.blows))
	}
	return func() { w.revive(n) }
}

// revive starts a node that is down. Precondition: mu is held.
func (w *coreWorld) revive(n *coreNode) {
	if n.up() {
		return
	}
	if err := n.open(); err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	if n.applied() < n.flushed {
		w.violate("X3", "what was flushed is there after a crash", fmt.Sprintf("n%d opens at index %d; %d was flushed", n.index+1, n.applied(), n.flushed))
	}
	if n.applied() > w.commit || n.applied() > uint64(len(n.log)) {
		w.violate("X3", "a state has nothing that was not committed", fmt.Sprintf("n%d opens at index %d; its log ends at %d, and %d are committed", n.index+1, n.applied(), len(n.log), w.commit))
	}
}

func (w *coreWorld) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.healed = true
	w.drop = 0
	clear(w.cut)
	for _, n := range w.nodes {
		n.away, n.lags = false, false
		w.revive(n)
	}
}
