package cluster

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

// shortLog makes a node flush and cut its log all the time.
func shortLog(c *Config) { c.SnapshotThreshold, c.SnapshotInterval, c.TrailingLogs = 8, time.Second, 4 }

// advance submits jobs until the leader's log begins above index.
func (w *world) advance(leader *testNode, index uint64) {
	w.t.Helper()
	for range 1000 {
		for range 10 {
			w.submit(leader)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if leader.Status().FirstLogIndex > index+1 {
			return
		}
	}
	w.t.Fatalf("the log still begins at %d", leader.Status().FirstLogIndex)
}

func (w *world) others(leader *testNode, ids ...string) (others []string) {
	for _, id := range ids {
		if id != leader.id {
			others = append(others, id)
		}
	}
	return others
}

// whole checks that a node's log has no hole and joins on to its state on disk.
func (w *world) whole(id string) {
	w.t.Helper()
	n := w.nodes[id]
	s := n.Status()
	if s.FirstLogIndex > s.FlushedIndex+1 || s.FirstLogIndex == 0 && s.AppliedIndex != s.FlushedIndex {
		w.t.Errorf("%s: the log begins at %d, on disk is %d", id, s.FirstLogIndex, s.FlushedIndex)
	}
	for index := s.FirstLogIndex; index > 0 && index <= s.LastLogIndex; index++ {
		if err := n.log.GetLog(index, new(raft.Log)); err != nil {
			w.t.Errorf("%s: log entry %d of %d to %d: %v", id, index, s.FirstLogIndex, s.LastLogIndex, err)
		}
	}
}

func TestSnapshot_LaggingNodeGetsTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id, shortLog)
		}
		leader := w.leader(ids...)
		_, index := w.submit(leader)
		w.caughtUp(index, ids...)
		lagging := w.others(leader, ids...)[0]
		w.isolate(lagging)
		w.advance(leader, index)
		w.heal(lagging)
		w.caughtUp(leader.Status().AppliedIndex, ids...)
		leader = w.leader(ids...)
		w.sameHash(leader, ids...)
		for _, id := range ids {
			w.whole(id)
		}

		// The installed state is a node's own: it survives a restart, and the node goes on from it.
		if err := w.stop(lagging); err != nil {
			t.Fatal(err)
		}
		w.start(lagging, shortLog)
		leader = w.leader(ids...)
		_, index = w.submit(leader)
		w.caughtUp(index, ids...)
		w.sameHash(leader, ids...)
		w.whole(lagging)
	})
}

// A node keeps its state, and its claim to it, when what it is sent is damaged on the way.
func TestSnapshot_DamagedOneIsRefusedAndNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		var flip, tried atomic.Int64
		flip.Store(-1)
		damaging := func(c *Config) {
			shortLog(c)
			open := c.RaftTransport
			c.RaftTransport = func() (raft.Transport, error) {
				inner, err := open()
				return &damagingTransport{Transport: inner, WithPreVote: inner.(raft.WithPreVote), flip: &flip, tried: &tried}, err
			}
		}
		for _, id := range ids {
			w.start(id, damaging)
		}
		leader := w.leader(ids...)
		job, index := w.submit(leader)
		w.caughtUp(index, ids...)
		lagging := w.others(leader, ids...)[0]
		w.isolate(lagging)
		w.advance(leader, index)

		for _, at := range []int64{0, 9, 40, 1000, 3000} {
			flip.Store(at)
			before, _ := w.nodes[lagging].Machine().Applied()
			refused := tried.Load()
			w.heal(lagging)
			w.until("a damaged snapshot was sent", func() bool { return tried.Load() > refused+1 })
			w.isolate(lagging)
			synctest.Wait()
			if after, _ := w.nodes[lagging].Machine().Applied(); after != before || !w.hasJob(lagging, job) {
				t.Errorf("byte %d damaged: the state was at %d and is at %d", at, before, after)
			}
		}
		if exits := w.exits(lagging); exits != nil {
			t.Errorf("the node exited with %v", exits)
		}
		flip.Store(-1)
		w.heal(lagging)
		w.until("the cluster is whole", func() bool { return w.nodes[lagging].Status().AppliedIndex >= leader.Status().AppliedIndex })
		leader = w.leader(ids...)
		w.sameHash(leader, ids...)
	})
}

// damagingTransport flips one bit of every snapshot that it sends.
type damagingTransport struct {
	raft.Transport
	raft.WithPreVote
	flip  *atomic.Int64 // of which byte; -1 = of none
	tried *atomic.Int64
}

func (d *damagingTransport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if at := d.flip.Load(); at >= 0 {
		data = &damagingReader{from: data, at: at % args.Size}
	}
	err := d.Transport.InstallSnapshot(id, to, args, resp, data)
	d.tried.Add(1)
	return err
}

type damagingReader struct {
	from io.Reader
	at   int64
}

func (d *damagingReader) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	if d.at >= 0 && d.at < int64(n) {
		p[d.at] ^= 0x10
	}
	d.at -= int64(n)
	return n, err
}

// A leader that was cut off has entries that nobody else has, beyond what the others have by now.
// They are gone from the majority's log, so it gets a snapshot that its log contradicts.
func TestSnapshot_ConflictingTailIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id, shortLog)
		}
		old := w.leader(ids...)
		_, index := w.submit(old)
		w.caughtUp(index, ids...)
		w.isolate(old.id)
		w.tail(old, 500)
		rest := w.others(old, ids...)
		leader := w.leader(rest...)
		w.advance(leader, index)
		if last := old.Status().LastLogIndex; last <= leader.Status().AppliedIndex {
			t.Fatalf("the tail ends at %d, the cluster is at %d already", last, leader.Status().AppliedIndex)
		}
		before := old.instance.Load()
		w.heal(old.id)
		w.until("the old leader has followed", func() bool {
			return old.Status().AppliedIndex >= leader.Status().AppliedIndex
		})
		if old.instance.Load() == before {
			t.Error("Raft was not started over")
		}
		leader = w.leader(ids...)
		w.submit(leader)
		w.sameHash(leader, ids...)
		for _, id := range ids {
			w.whole(id)
			if exits := w.exits(id); exits != nil {
				t.Errorf("%s exited with %v", id, exits)
			}
		}
	})
}

// tail appends entries to the log of a leader that is cut off.
func (w *world) tail(old *testNode, count int) {
	w.t.Helper()
	data, err := fsm.EncodeEntry(1, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	want := old.Status().LastLogIndex + uint64(count)
	for range count {
		go old.instance.Load().raft.Apply(data, 0)
		synctest.Wait()
	}
	if last := old.Status().LastLogIndex; last < want {
		w.t.Fatalf("the tail ends at %d, not %d", last, want)
	}
}

// The process ended between the flip to a received state and the removal of the old log.
func TestSnapshot_CrashAfterTheFlip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id, shortLog)
		}
		leader := w.leader(ids...)
		_, index := w.submit(leader)
		w.caughtUp(index, ids...)
		lagging := w.others(leader, ids...)[0]
		if err := w.stop(lagging); err != nil {
			t.Fatal(err)
		}
		w.advance(leader, index)
		w.flipTo(lagging, leader)
		w.start(lagging, shortLog)
		leader = w.leader(ids...)
		_, index = w.submit(leader)
		w.caughtUp(index, ids...)
		w.sameHash(leader, ids...)
		w.whole(lagging)
	})
}

// What a node has acknowledged after it was sent the state must not be taken for a leftover of the
// time before: its log begins above the state's last entry.
func TestSnapshot_EntriesAfterAnInstalledStateSurviveACrash(t *testing.T) {
	for _, kind := range []string{"a node with a log", "an empty node"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { survives(t, kind == "an empty node") })
		})
	}
}

func survives(t *testing.T, empty bool) {
	w := newWorld(t)
	w.start("n1", shortLog)
	leader := w.leader("n1")
	_, index := w.submit(leader)
	long := func(c *Config) { shortLog(c); c.SnapshotInterval = time.Hour }
	if !empty {
		for _, id := range []string{"n2", "n3"} {
			w.start(id, long, joining("n1:2"))
			w.until(id+" is a member", func() bool { return w.nodes[id].ClusterID() != "" && !w.nodes[id].whoAmI().Joining })
		}
		index = leader.Status().AppliedIndex
		w.isolate("n2")
	}
	w.advance(leader, index)
	if !empty {
		w.heal("n2")
	} else {
		w.start("n2", long, joining("n1:2"))
	}
	w.until("n2 is a member", func() bool { return w.nodes["n2"].ClusterID() != "" && !w.nodes["n2"].whoAmI().Joining })
	w.caughtUp(leader.Status().AppliedIndex, "n2")
	leader = w.leader("n1", "n2", "n3")
	_, index = w.submit(leader)
	w.caughtUp(index, "n2")
	before := w.nodes["n2"].Status()
	if before.FirstLogIndex != before.FlushedIndex+1 || before.LastLogIndex < index {
		t.Fatalf("the log goes from %d to %d, on disk is %d", before.FirstLogIndex, before.LastLogIndex, before.FlushedIndex)
	}
	w.crash("n2", true, nil)
	w.start("n2", long, joining("n1:2"))
	w.until("Raft runs", func() bool { return w.nodes["n2"].instance.Load() != nil })
	after := w.nodes["n2"].Status()
	if after.AppliedIndex != before.FlushedIndex || after.LastLogIndex != before.LastLogIndex || after.FirstLogIndex != before.FirstLogIndex {
		t.Errorf("before the crash: %+v\nafter it: %+v", before, after)
	}
	w.heal("n2")
	leader = w.leader("n1", "n2", "n3")
	w.caughtUp(index, "n2")
	w.sameHash(leader, "n1", "n2")
}

// flipTo makes the state of one node the state of another, stopped one.
func (w *world) flipTo(stopped string, from *testNode) {
	w.t.Helper()
	r, wr := io.Pipe()
	go func() {
		_, err := from.Machine().WriteSnapshot(wr)
		wr.CloseWithError(err)
	}()
	fs := w.nodes[stopped].disk
	restored, err := fsm.RestoreSnapshot(fs, "/data/state/000002", r, fsm.Options{Logger: testLogger()})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := (&stateDir{fs: fs, path: "/data/state"}).flip(current{number: 2, installed: restored.Index}); err != nil {
		w.t.Fatal(err)
	}
}
