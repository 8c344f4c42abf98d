package cluster

import (
	"context"
	"encoding/json"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// SaveTask keeps a checkpoint of a running task.
func (s *server) SaveTask(ctx context.Context, req *connect.Request[apiv1.SaveTaskRequest]) (*connect.Response[apiv1.SaveTaskResponse], error) {
	return onLeader(ctx, s, req, apiv1connect.FanfoldClient.SaveTask,
		func(ctx context.Context, eng *engine.Engine, q *apiv1.SaveTaskRequest) (*apiv1.SaveTaskResponse, error) {
			id, err := jobIDOf(q.GetJob())
			switch {
			case err != nil:
				return nil, err
			case len(q.GetData()) > fsm.SaveMax:
				return nil, tooLarge("the checkpoint has %d bytes and may have %d: store the data elsewhere and save where it is", len(q.GetData()), fsm.SaveMax)
			case !json.Valid(q.GetData()):
				return nil, invalid("data is not valid JSON: encode it with encoding/json")
			}
			index, err := eng.SaveTask(ctx, &fsmpb.SaveTask{
				Session: q.GetSession(), Fence: &fsmpb.Fence{Index: q.GetFenceIndex(), Pos: q.GetFencePos()},
				Task: fsm.TaskRef{Job: id, Step: q.GetStep(), Shard: q.GetShard()}.Proto(),
				Slot: q.GetSlot(), Name: q.GetName(), Seq: q.GetSeq(), Data: q.GetData(),
			})
			return &apiv1.SaveTaskResponse{Index: index}, err
		})
}

// ListSaved reads the checkpoints of a task that is not done.
func (s *server) ListSaved(ctx context.Context, req *connect.Request[apiv1.ListSavedRequest]) (*connect.Response[apiv1.ListSavedResponse], error) {
	return reading(ctx, s, req, req.Msg.GetStale(), apiv1connect.FanfoldClient.ListSaved, listSaved)
}

func listSaved(v *fsm.View, q *apiv1.ListSavedRequest) (*apiv1.ListSavedResponse, error) {
	ref, err := taskOf(v, q.GetId(), q.GetNamespace(), q.GetStep(), q.GetShard())
	if err != nil {
		return nil, err
	}
	all, err := v.Saved(ref)
	res := &apiv1.ListSavedResponse{Index: v.Index()}
	for _, one := range all {
		res.Saved = append(res.Saved, &apiv1.Saved{Slot: one.Slot, Name: one.Name, Data: one.Data})
	}
	return res, err
}

// taskOf finds a task that is named by job, step and shard. step "" is the only step of a job of one.
func taskOf(v *fsm.View, id, namespace, step string, shard uint64) (ref fsm.TaskRef, err error) {
	job, err := jobIn(v, id, namespace)
	if err != nil {
		return ref, err
	}
	n, err := v.Step(job, step)
	if err != nil {
		return ref, refuse(fsm.CodeNotFound, "the job has no step of that name; `fanfold job show` lists its steps")
	}
	return fsm.TaskRef{Job: job, Step: n, Shard: shard}, nil
}

// jobIn reads a job's id and makes sure that it is of the namespace.
func jobIn(v *fsm.View, id, namespace string) (job fsm.JobID, err error) {
	if job, err = jobIDOf(id); err != nil {
		return job, err
	}
	ns, err := namespaceOf(namespace)
	if err != nil {
		return job, err
	}
	of, _, err := v.JobHead(job)
	if err == nil && of != ns {
		err = notIn(ns, job)
	}
	return job, err
}
