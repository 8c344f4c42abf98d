package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
)

func joining(through ...string) func(*Config) {
	return func(c *Config) { c.Peers, c.Join = nil, through }
}

func TestJoin_EmptyNodesBecomeVoters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("n1", shortLog)
		leader := w.leader("n1")
		job, index := w.submit(leader)
		w.advance(leader, index) // the log no longer reaches back: the joining nodes need the state
		w.start("n2", shortLog, joining("n1:2"))
		w.until("n2 is a voter", func() bool { return w.voters("n1") == 2 })
		w.start("n3", shortLog, joining("nobody:2", "n2:2")) // a follower, which forwards
		w.until("n3 is a voter", func() bool { return w.voters("n1") == 3 })
		_, index = w.submit(leader)
		ids := []string{"n1", "n2", "n3"}
		w.caughtUp(index, ids...)
		w.sameHash(leader, ids...)
		for _, id := range ids {
			w.whole(id)
			if !w.hasJob(id, job) {
				t.Errorf("%s has not got the first job", id)
			}
			if got := w.nodes[id].ClusterID(); got != leader.ClusterID() {
				t.Errorf("%s: cluster %q", id, got)
			}
		}

		// A joined node comes back as itself, with the same flags.
		w.stop("n3")
		w.start("n3", shortLog, joining("n1:2"))
		_, index = w.submit(w.leader(ids...))
		w.caughtUp(index, ids...)
		if got := w.voters("n1"); got != 3 {
			t.Errorf("%d voters", got)
		}
	})
}

func (w *world) voters(id string) (count int) {
	for _, n := range w.nodes[id].Status().Nodes {
		if n.Voter {
			count++
		}
	}
	return count
}

// A node that lost its disk must not vote under its old entry: it may have voted, and has forgotten it.
// It comes back as a new node does, whether it had founded the cluster or joined it.
func TestMeet_AnEmptiedNodeJoinsAnew(t *testing.T) {
	for _, had := range []string{"founded", "joined"} {
		t.Run(had, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ids := []string{"n1", "n2", "n3"}
				w := newWorld(t, ids...)
				var flags []func(*Config)
				if had == "joined" {
					w.peers = nil
					w.start("n1")
					w.leader("n1")
					flags = append(flags, joining("n1:2"))
				} else {
					w.start("n1")
				}
				w.start("n2", flags...)
				w.start("n3", flags...)
				w.until("three voters", func() bool { return w.voters("n1") == 3 })
				leader := w.leader(ids...)
				lost := w.others(leader, ids...)[1]
				_, index := w.submit(leader)
				w.caughtUp(index, ids...)

				w.stop(lost)
				delete(w.nodes, lost)
				removed := w.removals(leader)
				w.start(lost, flags...)
				w.until("it was removed", func() bool { return removed.Load() == 1 })
				w.until("it is a voter again", func() bool { return w.voters(leader.id) == 3 })
				w.until("it knows", func() bool { return !w.nodes[lost].whoAmI().Joining })
				w.sameHash(w.leader(ids...), ids...)
				if exits := w.exits(lost); exits != nil {
					t.Errorf("exit codes %v", exits)
				}
			})
		})
	}
}

// removals counts the members that a leader removes.
func (w *world) removals(leader *testNode) *atomic.Int64 {
	count := new(atomic.Int64)
	leader.instance.Load().raft.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if peer, ok := o.Data.(raft.PeerObservation); ok && peer.Removed {
			count.Add(1)
		}
		return false
	}))
	return count
}

func TestMeet_ASecondNodeOfTheSameNameIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("n1")
		leader := w.leader("n1")
		w.start("n2", joining("n1:2"))
		w.until("n2 is a voter", func() bool { return w.voters("n1") == 2 })
		impostor, err := w.open("impostor", joining("n1:2"), func(c *Config) { c.NodeID = "n2" })
		if err != nil {
			t.Fatal(err)
		}
		if err := impostor.Run(w.ctx); err == nil || !strings.Contains(err.Error(), "has a node n2 already, at n2:2") {
			t.Errorf("error %v", err)
		}
		_, index := w.submit(leader)
		w.caughtUp(index, "n2")
	})
}

func TestMeet_PeersFoundWithAMajorityOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		n := w.start("n1")
		time.Sleep(time.Minute)
		if n.instance.Load() != nil {
			t.Fatal("one of three began")
		}
		w.start("n2")
		leader := w.leader("n1", "n2")
		w.start("n3") // late: the cluster exists, and has it as a member
		w.until("n3 is a member", func() bool {
			return w.nodes["n3"].ClusterID() == leader.ClusterID() && !w.nodes["n3"].whoAmI().Joining
		})
		_, index := w.submit(w.leader(ids...))
		w.caughtUp(index, ids...)
		w.sameHash(w.leader(ids...), ids...)
	})
}

func TestJoin_AnotherClustersNodeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.used("n2")
		w.start("n1")
		w.leader("n1")
		n := w.start("n2", joining("n1:2"))
		err := <-n.run
		n.run = nil
		if err == nil || !strings.Contains(err.Error(), "belongs to cluster") {
			t.Errorf("error %v", err)
		}
	})
}

func TestMembers_Refusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id)
		}
		leader := w.leader(ids...)
		other := w.others(leader, ids...)[0]
		code := func(err error) fsm.Code {
			var r *fsm.Refusal
			errors.As(err, &r)
			if r == nil {
				t.Errorf("no refusal: %v", err)
				return ""
			}
			return r.Code
		}
		add := func(id, raftAddress, apiAddress, cluster string) error {
			_, err := leader.AddNode(w.ctx, id, raftAddress, apiAddress, cluster)
			return err
		}
		for _, test := range []struct {
			what string
			got  error
			want fsm.Code
		}{
			{"a bad id", add("a b", "h:1", "h:2", ""), fsm.CodeInvalid},
			{"a bad address", add("n9", "h", "h:2", ""), fsm.CodeInvalid},
			{"another cluster", add("n9", "h:1", "h:2", strings.Repeat("0", clusterIDLen)), fsm.CodeConflict},
			{"an address in use", add("n9", other+":1", other+":2", ""), fsm.CodeConflict},
			{"an id in use", add(other, "h:1", "h:2", ""), fsm.CodeConflict},
			{"removing nobody", leader.RemoveNode(w.ctx, "n9"), fsm.CodeNotFound},
			{"nobody as the leader", leader.TransferLeadership(w.ctx, "n9"), fsm.CodeNotFound},
		} {
			if got := code(test.got); got != test.want {
				t.Errorf("%s: %q, want %q", test.what, got, test.want)
			}
		}
		if got := w.voters(leader.id); got != 3 {
			t.Errorf("%d voters", got)
		}
		if err := w.nodes[other].RemoveNode(w.ctx, leader.id); !errors.Is(err, engine.ErrNotLeader) {
			t.Errorf("a follower removes: %v", err)
		}
		if err := leader.TransferLeadership(w.ctx, other); err != nil {
			t.Fatal(err)
		}
		w.until("the other leads", func() bool { _, ok := w.nodes[other].Leading(); return ok })
	})
}

func TestMembers_TheLastVoterStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("n1")
		leader := w.leader("n1")
		if err := leader.RemoveNode(w.ctx, "n1"); err == nil || !strings.Contains(err.Error(), "last voter") {
			t.Errorf("error %v", err)
		}
	})
}

func TestLeader_IsKnownEverywhereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id)
		}
		leader := w.leader(ids...)
		time.Sleep(100 * time.Millisecond)
		for _, id := range ids {
			if address, known := w.nodes[id].LeaderAPI(); !known || address != leader.id+":2" {
				t.Errorf("%s: the leader is at %q", id, address)
			}
		}
		lost := w.others(leader, ids...)[0]
		w.isolate(lost)
		w.until("the leader misses it", func() bool {
			for _, n := range leader.Status().Nodes {
				if n.ID == lost {
					return !n.Reachable
				}
			}
			return false
		})
	})
}

// Proposals of a leader that is cut off are unknown, and it says so soon; one that does not lead
// never touched its log.
func TestLog_OutcomesAreNamedTruthfully(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id)
		}
		leader := w.leader(ids...)
		propose := func(n *testNode) error {
			data, err := fsm.EncodeEntry(1, nil)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			n.instance.Load().log.Propose(data, func(_ *fsm.Result, err error) { done <- err })
			return <-done
		}
		other := w.nodes[w.others(leader, ids...)[0]]
		before := other.Status().LastLogIndex
		if err := propose(other); !errors.Is(err, engine.ErrNotLeader) {
			t.Errorf("a follower: %v", err)
		}
		if after := other.Status().LastLogIndex; after != before {
			t.Error("a refused entry is in the log")
		}
		if err := propose(leader); err != nil {
			t.Errorf("the leader: %v", err)
		}
		w.isolate(leader.id)
		if err := propose(leader); !errors.Is(err, engine.ErrOutcomeUnknown) {
			t.Errorf("a leader that is cut off: %v", err)
		}
		if _, ok := leader.Leading(); ok {
			synctest.Wait()
			if _, ok := leader.Leading(); ok {
				t.Error("it still claims to lead")
			}
		}
	})
}

func TestVerifyLeader_AfterAPauseGoesThroughTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id)
		}
		leader := w.leader(ids...)
		log := leader.instance.Load().log
		before := leader.Status().LastLogIndex
		if err := log.VerifyLeader(w.ctx); err != nil {
			t.Fatal(err)
		}
		if after := leader.Status().LastLogIndex; after != before {
			t.Errorf("a plain check wrote %d entries", after-before)
		}
		leader.pauses.mu.Lock()
		leader.pauses.lastEnd = time.Now()
		leader.pauses.mu.Unlock()
		if err := log.VerifyLeader(w.ctx); err != nil {
			t.Fatal(err)
		}
		if after := leader.Status().LastLogIndex; after != before+1 {
			t.Errorf("a check after a pause wrote %d entries", after-before)
		}
		w.isolate(leader.id)
		ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		if err := log.VerifyLeader(ctx); !errors.Is(err, engine.ErrNotLeader) {
			t.Errorf("cut off: %v", err)
		}
		if leader.instance.Load().raft.State() == raft.Leader {
			t.Error("it still leads")
		}
	})
}
