package sim

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/engine"
)

// clusterFaults are the kinds of faults of whole clusters. Each is armed in a quarter of the plans.
var clusterFaults = []string{
	"kill",        // a process ends; what it wrote is on its disk, synced or not
	"power",       // a node loses its power, and with it what it had not synced
	"blackout",    // all nodes lose their power at once
	"write-crash", // a node loses its power at one of its next writes
	"leader-kill", // as power, of the leader
	"partition",   // one node is cut off from the others, in both directions
	"one-way",     // messages of one node do not reach another
	"delay",       // messages between two nodes take up to half a second
	"drop",        // messages between nodes are lost
	"repeat",      // messages of a node arrive twice, the second time late
	"hang",        // a node's disk and its network stand still
	"slow-disk",   // a node's log takes its time
	"clock-jump",  // a node's wall clock is set
	"transfer",    // leadership is handed over
	"reset",       // the connections of a client break: requests and answers on their way are lost
	"worker-kill", // a worker ends without a word
	"worker-cut",  // a worker loses sight of the cluster, and comes back
}

// fault does what one fault of the plan says, and undoes it.
func (w *world) fault(f Fault) {
	time.Sleep(f.At)
	n := w.nodes[f.Node]
	undo := func() {}
	if !w.begin(f.Kind) {
		return
	}
	switch f.Kind {
	case "kill", "power":
		undo = w.down(n, f)
	case "leader-kill":
		for _, one := range w.nodes {
			if one.leads() {
				undo = w.down(one, f)
				break
			}
		}
	case "blackout":
		var all []func()
		for _, one := range w.nodes {
			all = append(all, w.down(one, f))
		}
		undo = func() {
			for _, up := range all {
				up()
			}
		}
	case "write-crash":
		w.mu.Lock()
		w.traps = append(w.traps, &trap{node: f.Node, left: 1 + f.N, after: f.Peer == 0, kept: f.kept()})
		w.mu.Unlock()
		return
	case "partition":
		undo = w.cut(f.Node, true, f.others(w.plan.Nodes)...)
	case "one-way":
		if f.Peer == f.Node {
			f.Peer = (f.Node + 1) % w.plan.Nodes
		}
		undo = w.cut(f.Node, false, f.Peer)
	case "delay", "drop", "repeat":
		undo = w.disturb(f)
	case "hang":
		undo = w.hang(n, f)
	case "slow-disk":
		w.slow[f.Node].Store(int64(time.Duration(f.N) * 4 * time.Millisecond))
		undo = func() { w.slow[f.Node].Store(0) }
	case "clock-jump":
		n.clock.Add(int64(f.jump()))
		return
	case "transfer":
		w.transfer(f)
		return
	case "reset":
		w.net.Kill(w.clientHost(f.Node % len(w.clients)))
		return
	case "worker-kill":
		w.killWorker(f.Node)
		return
	case "worker-cut":
		undo = w.cutWorker(f.Node)
	}
	time.Sleep(f.For)
	w.mu.Lock()
	healed := w.healed
	w.mu.Unlock()
	if !healed || f.Kind == "kill" || f.Kind == "power" || f.Kind == "leader-kill" || f.Kind == "blackout" {
		undo()
	}
}

// begin counts a fault; false: the time for faults is over.
func (w *world) begin(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.healed {
		w.fired[kind]++
	}
	return !w.healed
}

// kept is the chance of what was not synced to be on the disk after a power failure.
func (f Fault) kept() int { return []int{0, 0, 30, 70}[f.N%4] }

// jump is how far a clock-jump sets a clock.
func (f Fault) jump() time.Duration { return time.Duration(f.N-50) * 100 * time.Millisecond }

func (f Fault) others(nodes int) (all []int) {
	for i := range nodes {
		if i != f.Node {
			all = append(all, i)
		}
	}
	return all
}

// down crashes a node; the function that is returned starts it.
func (w *world) down(n *node, f Fault) (up func()) {
	percent := f.kept()
	if f.Kind == "kill" {
		percent = 100
	}
	n.kill(percent)
	return func() {
		if err := n.start(); err != nil {
			w.exit(err.Error())
		}
	}
}

// cut cuts the way from a node to others, and back.
func (w *world) cut(from int, both bool, to ...int) (mend func()) {
	change := func(by int) {
		for _, other := range to {
			w.wires.change(from, other, func(l *link) { l.cut = max(0, l.cut+by) })
			if both {
				w.wires.change(other, from, func(l *link) { l.cut = max(0, l.cut+by) })
			}
			a, b := w.nodes[from].peer.ID, w.nodes[other].peer.ID
			if both && by > 0 {
				w.net.Cut(a, b)
			} else if both {
				w.net.Mend(a, b)
			}
		}
	}
	change(+1)
	return func() { change(-1) }
}

func (w *world) disturb(f Fault) (calm func()) {
	set := func(on int) {
		for _, other := range f.others(w.plan.Nodes) {
			for _, way := range [][2]int{{f.Node, other}, {other, f.Node}} {
				w.wires.change(way[0], way[1], func(l *link) {
					switch f.Kind {
					case "delay":
						l.slow = time.Duration(on*f.N) * 5 * time.Millisecond
					case "drop":
						l.lose = on * (5 + f.N/2)
					case "repeat":
						l.again = on * (5 + f.N/2)
					}
				})
			}
		}
	}
	set(1)
	return func() { set(0) }
}

// hang is what can be had of a process that is stopped: nothing is written, and nothing comes or goes. Its
// goroutines run.
func (w *world) hang(n *node, f Fault) (undo func()) {
	p := n.current()
	if p == nil {
		return func() {}
	}
	p.life.hang()
	mend := w.cut(f.Node, true, f.others(w.plan.Nodes)...)
	return func() { mend(); p.life.release() }
}

func (w *world) transfer(f Fault) {
	p := w.leader()
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.live.TransferLeadership(ctx, w.nodes[f.Peer].peer.ID); err != nil && err != engine.ErrNotLeader {
		w.logger.Info("leadership was not transferred", "error", err)
	}
}

// trips reports whether a crash was waiting for this write of a node.
func (w *world) trips(n *node, after bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range w.traps {
		if t.node != n.index || after && t.left > 0 {
			continue
		}
		if !after {
			t.left--
		}
		if t.left <= 0 && t.after == after {
			w.traps = append(w.traps[:i:i], w.traps[i+1:]...)
			w.fired["write-crash: fell"]++
			return true
		}
	}
	return false
}

// kept is how much of what was not synced survives a crash at a write.
func (w *world) kept() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []int{0, 0, 30, 70}[w.fired["write-crash: fell"]%4]
}
