package cluster

import (
	"errors"
	"io"
	"net"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

func TestForward_AFollowerAnswersUnaryCallsThroughTheLeader(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.other, `1`)
	res, err := w.other.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id}))
	if err != nil || res.Msg.GetJob().GetState() != "RUNNING" {
		t.Fatalf("%v, %v", res, err)
	}
	_, err = w.other.PurgeJob(t.Context(), connect.NewRequest(&apiv1.PurgeJobRequest{Id: id}))
	wantCode(t, err, "NOT_ENDED") // the leader's error, with its detail
}

func TestForward_ACallIsPassedOnOnce(t *testing.T) {
	w := newServerWorld(t)
	address := w.follower.url[len("http://"):]
	w.leader.eng.Store(nil) // each takes the other for the leader
	w.leader.leader.Store(&address)
	_, err := w.other.ListJobs(t.Context(), connect.NewRequest(&apiv1.ListJobsRequest{}))
	wantCode(t, err, "NOT_LEADER")
}

func TestForward_StreamsOnAFollowerNameTheLeader(t *testing.T) {
	w := newServerWorld(t)
	s := w.other.Work(t.Context())
	if err := s.Send(&apiv1.WorkRequest{Hello: testHello(1)}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	_, err := s.Receive()
	if info := wantCode(t, err, "NOT_LEADER"); info.GetLeader() != w.leader.url[len("http://"):] {
		t.Fatal(info)
	}
	_, err = await(t, w.other, "x").Receive()
	wantCode(t, err, "NOT_LEADER")
	wantCode(t, receiveAll(w.other.ReadValue(t.Context(), connect.NewRequest(&apiv1.ReadValueRequest{}))), "NOT_LEADER")
}

func TestForward_StaleReadsAreAnsweredWhereTheyAreAsked(t *testing.T) {
	w := newServerWorld(t)
	id := w.submit(w.client, `1`)
	w.follower.leader.Store(nil)
	w.leader.eng.Store(nil)
	res, err := w.other.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id, Consistency: apiv1.Consistency_CONSISTENCY_STALE}))
	if err != nil || res.Msg.GetJob().GetState() != "RUNNING" || res.Msg.GetIndex() == 0 {
		t.Fatalf("%v, %v", res, err)
	}
	_, err = w.other.GetJob(t.Context(), connect.NewRequest(&apiv1.GetJobRequest{Id: id}))
	if info := wantCode(t, err, "NO_LEADER"); info.GetRetryAfterMs() == 0 {
		t.Fatal("no retry hint")
	}
}

func TestForward_ALeaderThatCannotBeReachedIsNoLeader(t *testing.T) {
	w := newServerWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w.follower.leader.Store(&nobody)
	_, err = w.other.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: "x"}))
	wantCode(t, err, "NO_LEADER")
}

func TestForward_AConnectionThatBreaksLeavesTheOutcomeUnknown(t *testing.T) {
	w := newServerWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	deaf := l.Addr().String()
	w.follower.leader.Store(&deaf)
	_, err = w.other.CancelJob(t.Context(), connect.NewRequest(&apiv1.CancelJobRequest{Id: "x"}))
	wantCode(t, err, "OUTCOME_UNKNOWN")
}
