package cluster

import (
	"context"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// addProgress adds to running tasks what their workers have said of them. Workers name an attempt by
// its fence; which task that is, the session's leases tell.
func addProgress(ctx context.Context, eng *engine.Engine, v *fsm.View, job fsm.JobID, tasks []*apiv1.TaskStatus) error {
	type place struct {
		step  string
		shard uint64
	}
	running := make(map[place]*apiv1.TaskStatus)
	var sessions []uint64
	seen := make(map[uint64]bool)
	for _, t := range tasks {
		if t.GetState() != fsm.TaskStarted.String() {
			continue
		}
		running[place{t.GetStep(), t.GetShard()}] = t
		if id := t.GetSession(); !seen[id] {
			seen[id] = true
			sessions = append(sessions, id)
		}
	}
	if len(sessions) == 0 {
		return nil
	}
	said, err := eng.ProgressOf(ctx, sessions)
	if err != nil || len(said) == 0 {
		return err
	}
	for _, id := range sessions {
		leases, _, err := v.Leases(id)
		if err != nil {
			return err
		}
		for _, g := range leases {
			p, ok := said[g.Fence]
			if t := running[place{g.Step, g.Task.Shard}]; ok && t != nil && g.Task.Job == job {
				t.Progress = &apiv1.Progress{Fence: &apiv1.Fence{Index: g.Fence.Index, Pos: g.Fence.Pos}, Done: p.Done, Total: p.Total, Note: p.Note}
			}
		}
	}
	return nil
}
