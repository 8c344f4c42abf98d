package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/jepsen-lite/ledger"
)

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
	f.logs = append(f.logs, ledger.Node{ID: "the cluster", Walk: coreRecords(w.decided), Applied: f.index})
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
