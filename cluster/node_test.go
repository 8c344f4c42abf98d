package cluster

import (
	"testing"
	"testing/synctest"
)

func TestNode_OneNodeFoundsACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("n1")
		n := w.leader("n1")
		job, index := w.submit(n)
		if !w.hasJob("n1", job) {
			t.Error("the job is not in the state")
		}
		cluster := n.ClusterID()
		if len(cluster) != clusterIDLen {
			t.Errorf("cluster id %q", cluster)
		}
		if address, known := n.LeaderAPI(); !known || address != "n1:2" {
			t.Errorf("the leader's API is %q", address)
		}

		if err := w.stop("n1"); err != nil {
			t.Fatal(err)
		}
		w.start("n1")
		n = w.leader("n1")
		w.caughtUp(index, "n1")
		if !w.hasJob("n1", job) {
			t.Error("the job is gone after a restart")
		}
		if n.ClusterID() != cluster {
			t.Errorf("cluster id %q became %q", cluster, n.ClusterID())
		}
		w.submit(n)
	})
}

func TestNode_ThreeNodesSurviveTheLossOfTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := []string{"n1", "n2", "n3"}
		w := newWorld(t, ids...)
		for _, id := range ids {
			w.start(id)
		}
		first := w.leader(ids...)
		job, index := w.submit(first)
		w.caughtUp(index, ids...)

		w.isolate(first.id)
		if err := w.stop(first.id); err != nil {
			t.Fatal(err)
		}
		second := w.leader(ids...)
		if second.id == first.id {
			t.Fatal("the stopped node leads")
		}
		if !w.hasJob(second.id, job) {
			t.Error("an acknowledged job is gone")
		}
		_, index = w.submit(second)
		w.heal(first.id)
		w.start(first.id)
		w.caughtUp(index, ids...)
		w.sameHash(second, ids...)
		for _, id := range ids {
			if got := w.nodes[id].ClusterID(); got != second.ClusterID() || got == "" {
				t.Errorf("%s: cluster id %q", id, got)
			}
		}
	})
}
