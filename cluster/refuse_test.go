package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

func TestOpen_ReportsEveryProblemAtOnce(t *testing.T) {
	_, err := Open(Config{
		NodeID: "a b", RaftAddress: "nowhere", Join: []string{"x:1"},
		Peers: []Peer{{ID: "p", RaftAddress: "h:1", APIAddress: "h"}}, TimeoutMultiplier: 50, StallTimeout: 1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"node id", "data directory", "Raft address", "not both", "peer \"p\"", "must include this node", "multiplier", "stall timeout"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %q in:\n%v", part, err)
		}
	}
}

// used runs a node for a while and stops it: its disk belongs to a cluster then.
func (w *world) used(id string) *testNode {
	w.t.Helper()
	w.start(id)
	n := w.leader(id)
	for range 5 {
		w.submit(n)
	}
	if err := w.stop(id); err != nil {
		w.t.Fatal(err)
	}
	return w.nodes[id]
}

func TestOpen_RefusesWhatDoesNotBelongTogether(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*world, *testNode, *Config)
		want   string
	}{
		{"another node's directory", func(w *world, n *testNode, c *Config) { c.NodeID = "n2" }, `belongs to node "n1", not to "n2"`},
		{"no identity", func(w *world, n *testNode, c *Config) { n.disk.Remove("/data/node.json") }, "node.json is gone"},
		{"damaged identity", func(w *world, n *testNode, c *Config) { writeFile(n.disk, "/data", identityFile, []byte("{")) }, "is damaged"},
		{"a newer version's directory", func(w *world, n *testNode, c *Config) {
			writeFile(n.disk, "/data", identityFile, []byte(`{"format":2,"node":"n1"}`))
		}, "newer version"},
		{"another cluster's state", func(w *world, n *testNode, c *Config) {
			writeIdentity(n.disk, "/data", identity{Node: "n1", Cluster: strings.Repeat("0", clusterIDLen)})
		}, "is of cluster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				n := w.used("n1")
				_, err := w.open("n1", func(c *Config) { test.change(w, n, c) })
				n.Node = nil
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
			})
		})
	}
}

func TestRun_RefusesToStartWithoutItsPast(t *testing.T) {
	for _, test := range []struct {
		name string
		lose func(*testNode)
		want string
	}{
		{"the votes are gone", func(n *testNode) { n.vote = raft.NewInmemStore() }, "votes are gone"},
		{"the log is gone", func(n *testNode) { n.log = raft.NewInmemStore() }, "log is gone"},
		{"the end of the log is gone", func(n *testNode) {
			last, _ := n.log.LastIndex()
			n.log.DeleteRange(last-1, last)
		}, "the log has lost entries"},
		{"the state is gone", func(n *testNode) {
			n.disk.RemoveAll("/data/state")
			first, _ := n.log.FirstIndex()
			n.log.DeleteRange(first, first+2)
		}, "but the state ends at 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				test.lose(w.used("n1"))
				n := w.start("n1")
				err := <-n.run
				n.run = nil
				var exit *ExitError
				if !errors.As(err, &exit) || exit.Code != ExitCorruption || !strings.Contains(exit.Reason, test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
			})
		})
	}
}

// The state alone may be lost when the log goes back to the beginning: it is replayed.
func TestRun_ALostStateIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.used("n1")
		n.disk.RemoveAll("/data/state")
		w.start("n1")
		leader := w.leader("n1")
		if got := leader.Machine().ClusterID(); got != leader.ClusterID() || got == "" {
			t.Errorf("cluster id %q", got)
		}
	})
}

// An entry that this version cannot read ends the node; it is never skipped.
func TestReplica_ANewerVersionsEntryEndsTheProcess(t *testing.T) {
	r := openTestReplica(t, vfs.NewMem())
	var codes []int
	r.fail = func(code int, _ string) { codes = append(codes, code) }
	answer := r.Apply(&raft.Log{Index: 1, Term: 1, Type: raft.LogCommand, Data: []byte{250, 1, 2, 3}})
	if err, ok := answer.(error); !ok || !errors.Is(err, fsm.ErrFormat) || !slices.Equal(codes, []int{ExitVersion}) {
		t.Errorf("answer %v, exit codes %v", answer, codes)
	}
	data, err := fsm.EncodeEntry(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Apply(&raft.Log{Index: 2, Term: 1, Type: raft.LogCommand, Data: data}).(error); !ok {
		t.Error("the entry after it was applied")
	}
	if index, _ := r.machine().Applied(); index != 0 {
		t.Errorf("the state is at %d", index)
	}
}
