package cluster

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (s *server) ListWorkers(ctx context.Context, req *connect.Request[apiv1.ListWorkersRequest]) (*connect.Response[apiv1.ListWorkersResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListWorkers,
		func(v *fsm.View, q *apiv1.ListWorkersRequest) (*apiv1.ListWorkersResponse, error) {
			ns, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			all, err := v.Sessions()
			if err != nil {
				return nil, err
			}
			res := &apiv1.ListWorkersResponse{Index: v.Index()}
			for i := range all {
				if all[i].Namespace == ns {
					res.Workers = append(res.Workers, worker(&all[i]))
				}
			}
			return res, nil
		})
}

func (s *server) ListQueues(ctx context.Context, req *connect.Request[apiv1.ListQueuesRequest]) (*connect.Response[apiv1.ListQueuesResponse], error) {
	return reading(ctx, s, req, stale(req.Msg.GetConsistency()), apiv1connect.FanfoldClient.ListQueues,
		func(v *fsm.View, q *apiv1.ListQueuesRequest) (*apiv1.ListQueuesResponse, error) {
			ns, err := namespaceOf(q.GetNamespace())
			if err != nil {
				return nil, err
			}
			all, err := v.Queues()
			if err != nil {
				return nil, err
			}
			res := &apiv1.ListQueuesResponse{Index: v.Index()}
			for i := range all {
				if all[i].Namespace == ns {
					res.Queues = append(res.Queues, queue(&all[i]))
				}
			}
			return res, nil
		})
}

// ClusterStatus is what the answering node knows, also when there is no leader to ask.
func (s *server) ClusterStatus(context.Context, *connect.Request[apiv1.ClusterStatusRequest]) (*connect.Response[apiv1.ClusterStatusResponse], error) {
	st := s.h.Status()
	v := s.h.Machine().View()
	defer v.Close()
	res := &apiv1.ClusterStatusResponse{
		ClusterId: st.ClusterID, NodeId: st.NodeID, LeaderId: st.LeaderID, LeaderAddress: st.LeaderAddress, Term: st.Term,
		CommitIndex: st.CommitIndex, AppliedIndex: st.AppliedIndex, FlushedIndex: st.FlushedIndex,
		FirstLogIndex: st.FirstLogIndex, LastLogIndex: st.LastLogIndex, LogBytes: st.LogBytes,
		Counters: counters(v.Counters()), Version: st.Version,
	}
	for _, n := range st.Nodes {
		res.Nodes = append(res.Nodes, &apiv1.Node{Id: n.ID, RaftAddress: n.RaftAddress, ApiAddress: n.APIAddress,
			Voter: n.Voter, Leader: n.Leader, Reachable: n.Reachable, AppliedIndex: n.AppliedIndex})
	}
	return connect.NewResponse(res), nil
}

// membership makes a plain error of the node's membership calls a refusal: it is written for the caller.
func membership(err error) error {
	var refusal *fsm.Refusal
	switch {
	case err == nil, errors.As(err, &refusal), errors.Is(err, engine.ErrNotLeader), errors.Is(err, engine.ErrOutcomeUnknown),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return refuse(fsm.CodeInvalid, err.Error())
}

func (s *server) AddNode(ctx context.Context, req *connect.Request[apiv1.AddNodeRequest]) (*connect.Response[apiv1.AddNodeResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.AddNode,
		func(ctx context.Context, _ *engine.Engine, q *apiv1.AddNodeRequest) (*apiv1.AddNodeResponse, error) {
			if err := checkName("node id", q.GetId()); err != nil {
				return nil, err
			}
			if q.GetRaftAddress() == "" || q.GetApiAddress() == "" {
				return nil, invalid("a node needs a Raft and an API address that the others can reach")
			}
			id, err := s.h.AddNode(ctx, q.GetId(), q.GetRaftAddress(), q.GetApiAddress(), q.GetClusterId())
			return &apiv1.AddNodeResponse{ClusterId: id}, membership(err)
		})
}

func (s *server) RemoveNode(ctx context.Context, req *connect.Request[apiv1.RemoveNodeRequest]) (*connect.Response[apiv1.RemoveNodeResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.RemoveNode,
		func(ctx context.Context, _ *engine.Engine, q *apiv1.RemoveNodeRequest) (*apiv1.RemoveNodeResponse, error) {
			if err := checkName("node id", q.GetId()); err != nil {
				return nil, err
			}
			return &apiv1.RemoveNodeResponse{}, membership(s.h.RemoveNode(ctx, q.GetId()))
		})
}

func (s *server) TransferLeadership(ctx context.Context, req *connect.Request[apiv1.TransferLeadershipRequest]) (*connect.Response[apiv1.TransferLeadershipResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.TransferLeadership,
		func(ctx context.Context, _ *engine.Engine, q *apiv1.TransferLeadershipRequest) (*apiv1.TransferLeadershipResponse, error) {
			return &apiv1.TransferLeadershipResponse{}, membership(s.h.TransferLeadership(ctx, q.GetTo()))
		})
}

// HashState makes all replicas hash their state at one index, and answers with the leader's hash.
func (s *server) HashState(ctx context.Context, req *connect.Request[apiv1.HashStateRequest]) (*connect.Response[apiv1.HashStateResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.HashState,
		func(ctx context.Context, eng *engine.Engine, _ *apiv1.HashStateRequest) (*apiv1.HashStateResponse, error) {
			index, err := eng.HashState(ctx)
			if err != nil {
				return nil, err
			}
			hash, known := s.h.NodeHash(ctx, index)
			if !known {
				return nil, context.Cause(ctx)
			}
			return &apiv1.HashStateResponse{Index: index, Hash: hash}, nil
		})
}

// NodeHash answers for the asked node itself: it is never forwarded.
func (s *server) NodeHash(ctx context.Context, req *connect.Request[apiv1.NodeHashRequest]) (*connect.Response[apiv1.NodeHashResponse], error) {
	wait := min(time.Duration(max(0, req.Msg.GetWaitMs()))*time.Millisecond, waitMax)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	hash, known := s.h.NodeHash(ctx, req.Msg.GetIndex())
	return connect.NewResponse(&apiv1.NodeHashResponse{Index: req.Msg.GetIndex(), Hash: hash, Known: known, NodeId: s.h.Status().NodeID}), nil
}
