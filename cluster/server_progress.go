package cluster

import (
	"context"

	"github.com/fanfold/fanfold/engine"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// attempted is where the API speaks of a running attempt: a step's status, a task's, a reason.
type attempted interface {
	GetSession() uint64
	GetFence() *apiv1.Fence
}

// progressOf is what the workers have said of running attempts, by their fences: 0 or more of those given.
func progressOf[T attempted](ctx context.Context, eng *engine.Engine, all []T, put func(T, *apiv1.Progress)) error {
	var sessions []uint64
	seen := make(map[uint64]bool)
	for _, a := range all {
		if id := a.GetSession(); a.GetFence() != nil && !seen[id] {
			seen[id] = true
			sessions = append(sessions, id)
		}
	}
	if len(sessions) == 0 {
		return nil
	}
	said, err := eng.ProgressOf(ctx, sessions)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.GetFence() == nil {
			continue
		}
		if p, ok := said[fenceOf(a.GetFence())]; ok {
			put(a, &apiv1.Progress{Fence: a.GetFence(), Done: p.Done, Total: p.Total, Note: p.Note})
		}
	}
	return nil
}

func addStepProgress(ctx context.Context, eng *engine.Engine, steps []*apiv1.StepStatus) error {
	return progressOf(ctx, eng, steps, func(s *apiv1.StepStatus, p *apiv1.Progress) { s.Progress = p })
}

func addTaskProgress(ctx context.Context, eng *engine.Engine, tasks []*apiv1.TaskStatus) error {
	return progressOf(ctx, eng, tasks, func(t *apiv1.TaskStatus, p *apiv1.Progress) { t.Progress = p })
}

func addReasonProgress(ctx context.Context, eng *engine.Engine, reasons []*apiv1.Reason) error {
	return progressOf(ctx, eng, reasons, func(r *apiv1.Reason, p *apiv1.Progress) { r.Progress = p })
}
