package sim

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	mathrand "math/rand"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"crypto/sha256"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

// simulate runs one plan in a bubble of its own. What panics ends the process: Runner runs plans in another one.
func simulate(t *testing.T, p Plan, logger *slog.Logger) *Result {
	r := &Result{Plan: p}
	begin := cpuTime()
	synctest.Test(t, func(t *testing.T) {
		//lint:ignore SA1019 hashicorp/raft draws its timeouts from the process's source
		mathrand.Seed(int64(p.Seed))
		start := time.Now()
		var err error
		switch p.Tier {
		case TierCluster:
			err = simulateCluster(p, logger, r)
		case TierCore:
			err = simulateCore(p, r)
		default:
			err = fmt.Errorf("there is no tier %q", p.Tier)
		}
		if err != nil {
			r.Error = err.Error()
		}
		r.Virtual = time.Since(start)
		time.Sleep(20 * time.Second) // what waits for those that are gone times out
		synctest.Wait()
	})
	emptyPools()
	r.CPU = cpuTime() - begin
	return r
}

// emptyPools makes what this bubble has left in the process's sync.Pools unreachable: Pebble keeps objects
// with channels there, and a channel of one bubble must not be used in another. A pool survives one collection
// and not two.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// simulateCluster runs a plan of whole nodes.
func simulateCluster(p Plan, logger *slog.Logger, r *Result) error {
	w := newWorld(p, logger)
	err := w.run()
	f := found{plan: p, start: w.start}
	if err == nil && len(w.broken) == 0 {
		if f.index, f.final, err = w.hashes(); err != nil {
			w.violate("X1", "all nodes say the hash of their states", err.Error())
			err = nil
		}
	}
	if err == nil && len(w.broken) == 0 && p.Crash != nil {
		err = w.again(&f)
	}
	w.ending.Store(true)
	w.net.Close() // first, so that no node waits for its clients to leave
	for _, n := range w.nodes {
		n.stop()
		r.Writes = append(r.Writes, n.writes)
		f.logs = append(f.logs, ledger.Node{ID: n.peer.ID, Walk: func(visit func(cluster.LogRecord) error) error { return records(n.files, visit) }})
	}
	w.ghosts.Wait()
	f.took = time.Since(w.start)
	f.logs = append(f.logs, ledger.Node{ID: "the first that applied it", Walk: w.archive.records, Applied: f.index})
	for _, c := range w.archive.conflicts {
		w.violate("X2", "an index is applied with the same entry on all nodes", c)
	}
	f.ops, f.exits, f.broken = w.ops, w.exits, w.broken
	r.Fired, r.Ops = w.fired, len(w.ops)
	if err != nil {
		return err
	}
	return r.judge(f)
}

// again stops all nodes, so that a crash may fall into that, starts them, and has them say their hashes once more.
func (w *world) again(f *found) (err error) {
	for _, n := range w.nodes {
		n.stop()
	}
	w.later.Wait()
	w.ending.Store(true)
	if err := w.restartAll(); err != nil {
		return err
	}
	if !w.await(healTime, func() bool { return w.leader() != nil }) {
		w.violate("L1", "a healthy cluster makes progress", "no leader after all nodes were stopped and started")
		return nil
	}
	f.index, f.final, err = w.hashes()
	return err
}

// judge fills in the verdicts.
func (r *Result) judge(f found) error {
	verdicts, n, book, err := judge(f)
	if book != nil {
		defer book.Close()
	}
	r.Broken, r.Submissions = broken(verdicts), n
	if err != nil {
		return err
	}
	r.Checked = map[string]int{}
	for _, v := range verdicts {
		r.Checked[v.ID] += v.Count
	}
	r.Entries, r.Digest = len(book.Entries), digest(book)
	return nil
}

// digest is a hash of what the log says happened: times, kinds and outcomes, without the ids that are drawn.
func digest(book *ledger.Ledger) string {
	h := sha256.New()
	for _, e := range book.Entries {
		fmt.Fprintln(h, e.Index, e.Term, e.NowMS, len(e.Commands))
		for _, c := range e.Commands {
			fmt.Fprintf(h, "%T\n", c.Kind)
		}
		if e.Result != nil {
			for _, g := range e.Result.Grants {
				fmt.Fprintln(h, g.Kind, g.Task.Step, g.Task.Shard, g.Attempt, g.Session)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
