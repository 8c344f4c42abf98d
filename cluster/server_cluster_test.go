package cluster

import (
	"errors"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func TestHashState_AnswersTheHashOfItsIndex(t *testing.T) {
	w := newServerWorld(t)
	w.submit(w.client, `1`)
	res, err := w.other.HashState(t.Context(), connect.NewRequest(&apiv1.HashStateRequest{}))
	if err != nil || len(res.Msg.GetHash()) != 64 {
		t.Fatalf("%v, %v", res, err)
	}
	node, err := w.client.NodeHash(t.Context(), connect.NewRequest(&apiv1.NodeHashRequest{Index: res.Msg.GetIndex(), WaitMs: 60_000}))
	if err != nil || !node.Msg.GetKnown() || node.Msg.GetHash() != res.Msg.GetHash() || node.Msg.GetNodeId() != "n1" {
		t.Fatalf("%v, %v", node, err)
	}
	none, err := w.client.NodeHash(t.Context(), connect.NewRequest(&apiv1.NodeHashRequest{Index: 1 << 40}))
	if err != nil || none.Msg.GetKnown() {
		t.Fatalf("%v, %v", none, err)
	}
}

func TestClusterStatus_IsAnsweredWithoutALeader(t *testing.T) {
	w := newServerWorld(t)
	w.submit(w.client, `1`)
	w.follower.leader.Store(nil)
	res, err := w.other.ClusterStatus(t.Context(), connect.NewRequest(&apiv1.ClusterStatusRequest{}))
	if err != nil || res.Msg.GetNodeId() != "n2" || res.Msg.GetTerm() != 7 || len(res.Msg.GetNodes()) != 1 || res.Msg.GetCounters().GetJobsSubmitted() != 1 {
		t.Fatalf("%v, %v", res, err)
	}
}

func TestMembership_IsPassedToTheLeadersNode(t *testing.T) {
	w := newServerWorld(t)
	add := &apiv1.AddNodeRequest{Id: "n3", RaftAddress: "r:1", ApiAddress: "a:1", ClusterId: "c1"}
	res, err := w.other.AddNode(t.Context(), connect.NewRequest(add))
	if err != nil || res.Msg.GetClusterId() != "c1" {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := w.client.RemoveNode(t.Context(), connect.NewRequest(&apiv1.RemoveNodeRequest{Id: "n3"})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.TransferLeadership(t.Context(), connect.NewRequest(&apiv1.TransferLeadershipRequest{To: "n2"})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"add n3 r:1 a:1 c1", "remove n3", "transfer n2"}, w.leader.calls); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	_, err = w.client.AddNode(t.Context(), connect.NewRequest(&apiv1.AddNodeRequest{Id: "n3"}))
	wantCode(t, err, "INVALID")
	w.leader.err = errors.New("not a member")
	_, err = w.client.RemoveNode(t.Context(), connect.NewRequest(&apiv1.RemoveNodeRequest{Id: "n4"}))
	if info := wantCode(t, err, "INVALID"); info.GetMessage() != "not a member" {
		t.Fatal(info)
	}
	w.leader.err = refuse(fsm.CodeConflict, "another cluster's")
	_, err = w.client.AddNode(t.Context(), connect.NewRequest(add))
	wantCode(t, err, "CONFLICT")
	w.leader.err = engine.ErrNotLeader
	_, err = w.client.RemoveNode(t.Context(), connect.NewRequest(&apiv1.RemoveNodeRequest{Id: "n4"}))
	wantCode(t, err, "NO_LEADER")
}

func TestListQueues_CountsWhatWaits(t *testing.T) {
	w := newServerWorld(t)
	w.submit(w.client, `1`)
	res, err := w.client.ListQueues(t.Context(), connect.NewRequest(&apiv1.ListQueuesRequest{}))
	if err != nil || len(res.Msg.GetQueues()) != 1 || res.Msg.GetQueues()[0].GetPending() != 1 || res.Msg.GetQueues()[0].GetName() != "default" {
		t.Fatalf("%v, %v", res, err)
	}
}

func TestHealth_LiveWithoutALeaderAndReadyWithOne(t *testing.T) {
	w := newServerWorld(t)
	status := func(path string) int {
		res, err := http.Get(w.follower.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if status("/livez") != http.StatusOK || status("/readyz") != http.StatusOK {
		t.Fatal("a follower that knows its leader is live and ready")
	}
	w.follower.leader.Store(nil)
	if status("/livez") != http.StatusOK || status("/readyz") != http.StatusServiceUnavailable {
		t.Fatal("a follower without a leader is live and not ready")
	}
}
