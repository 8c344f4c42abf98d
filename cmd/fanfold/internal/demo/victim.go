package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/procs"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// Victim is the kind of process that a round kills.
type Victim string

const (
	Leader   Victim = "leader"
	Follower Victim = "follower"
	Worker   Victim = "worker"
	// Freeze is a worker that is stopped (SIGSTOP) past the end of its leases and then goes on, not
	// knowing that others have done its work: what it reports must be refused.
	Freeze Victim = "freeze"
	Random Victim = "random"
	None   Victim = "none"
)

// Check reports a kind that does not exist.
func (v Victim) Check() error {
	switch v {
	case Leader, Follower, Worker, Freeze, Random, None:
		return nil
	}
	return fmt.Errorf("unknown victim %q: use leader, follower, worker, freeze, random or none", string(v))
}

// downFor is how long a killed process stays away: long enough for the others to go on without it.
const downFor = 2 * time.Second

// fault is one kill: planned, done, repaired.
type fault struct {
	victim Victim
	// at is the part of the tasks that is done when the kill happens, from 0 to 1: of the
	// word count's map when inMap, else of all.
	at       float64
	inMap    bool
	doneAt   time.Time
	restart  func() error
	repaired bool
	undo     string // what the restart is called
	downFor  time.Duration
}

// plan chooses what a round kills and when.
func (r *run) plan(round int) *fault {
	f := &fault{victim: r.Kill, at: 0.5, inMap: true, downFor: downFor}
	if f.victim == Random {
		kinds := []Victim{Leader, Follower, Worker}
		if r.Nodes == 1 {
			kinds = []Victim{Leader, Worker}
		}
		f.victim = kinds[r.random.IntN(len(kinds))]
	}
	if round > 0 || r.Kill == Random {
		f.at, f.inMap = r.random.Float64(), false
	}
	return f
}

// moment describes when the kill happens.
func (f *fault) moment(done, total uint64) string {
	what := "tasks"
	if f.inMap {
		what = "map tasks of the word count"
	}
	return fmt.Sprintf("with %d of %d %s done", done, total, what)
}

// strike kills the victim. It returns false when there is none at this moment, such as no leader.
func (r *run) strike(ctx context.Context, f *fault, moment string) (struck bool, err error) {
	switch f.victim {
	case None:
		return true, nil
	case Worker:
		w := r.workers[r.random.IntN(len(r.workers))]
		w.process.Kill()
		f.restart, f.undo = func() error { return r.startWorker(w) }, "Started "+w.name+" again"
		r.note("Killed worker %s (SIGKILL) %s", w.name, moment)
	case Freeze:
		w := r.workers[r.random.IntN(len(r.workers))]
		if err := w.process.Freeze(); err != nil {
			return false, err
		}
		f.restart, f.undo, f.downFor = w.process.Thaw, "Let "+w.name+" go on", r.LeaseTTL+downFor
		r.note("Froze worker %s (SIGSTOP) %s", w.name, moment)
	default:
		leader := r.cluster.Leader(ctx)
		if leader == nil {
			return false, nil
		}
		node := leader
		if f.victim == Follower {
			node = r.otherThan(leader)
		} else {
			r.watch.leaderKilled(leader.ID)
		}
		node.Process.Kill()
		f.restart, f.undo = func() error { return r.cluster.Start(node) }, "Started "+node.ID+" again"
		r.note("Killed %s %s (SIGKILL) %s", f.victim, node.ID, moment)
	}
	f.doneAt = time.Now()
	r.faults++
	return true, nil
}

// repair starts what was killed again.
func (r *run) repair(f *fault) error {
	f.repaired = true
	if f.restart == nil {
		return nil
	}
	r.note("%s after %.1f s", f.undo, time.Since(f.doneAt).Seconds())
	return f.restart()
}

// reportPatience is what a worker that was let go on has to report what it still holds.
const reportPatience = 10 * time.Second

// awaitRefusal waits until the results that a frozen worker held have been refused. When it held none,
// or says nothing of them, the wait is over after a while: the counters tell.
func (r *run) awaitRefusal(ctx context.Context, before *apiv1.Counters) error {
	deadline := time.Now().Add(reportPatience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		now, err := r.counters(ctx)
		if err != nil {
			return err
		}
		if now.GetStale() > before.GetStale() || now.GetCrashes() == before.GetCrashes() || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// otherThan picks a node at random.
func (r *run) otherThan(leader *procs.Node) *procs.Node {
	var others []*procs.Node
	for _, node := range r.cluster.Nodes {
		if node != leader {
			others = append(others, node)
		}
	}
	return others[r.random.IntN(len(others))]
}
