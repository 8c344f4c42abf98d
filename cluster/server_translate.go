package cluster

import (
	"github.com/fanfold/fanfold/fsm"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// Views of the state in the API's messages, field by field.

func jobStatus(j *fsm.JobView) *apiv1.JobStatus {
	out := &apiv1.JobStatus{
		Id: j.ID.String(), Namespace: j.Namespace, Workflow: j.Workflow, State: j.State.String(), Key: j.Key,
		CreatedMs: j.CreatedMS, FinishedMs: j.FinishedMS, Error: taskError(j.Error), CancelReason: j.CancelReason,
		Schedule: j.Schedule, TickMs: j.TickMS, Headers: j.Headers,
	}
	out.Unique = uniqueStatus(j.Unique)
	if !j.Batch.IsZero() {
		out.Batch = j.Batch.String()
	}
	for i := range j.Steps {
		out.Steps = append(out.Steps, stepStatus(&j.Steps[i]))
	}
	return out
}

func stepStatus(s *fsm.StepView) *apiv1.StepStatus {
	out := &apiv1.StepStatus{
		Name: s.Name, Kind: s.Kind, Task: s.Task, State: s.State.String(), Attempts: s.Attempts, Crashes: s.Crashes,
		Total: s.Total, Succeeded: s.Succeeded, Dead: s.Dead, Discarded: s.Discarded, Started: s.Started, Retrying: s.Retrying, Pending: s.Pending,
		Worker: s.Worker, DueMs: s.DueMS, Error: taskError(s.Error), After: s.After,
	}
	if s.Session != 0 {
		out.Session, out.Fence = s.Session, fenceTo(s.Fence)
	}
	return out
}

func taskStatus(t *fsm.TaskView) *apiv1.TaskStatus {
	out := &apiv1.TaskStatus{
		Step: t.Step, Shard: t.Shard, State: t.State.String(), Attempts: t.Attempts, Crashes: t.Crashes,
		Session: t.Session, Worker: t.Worker, DueMs: t.DueMS, Error: taskError(t.Error),
		SavedBytes: t.Saved,
	}
	if t.State == fsm.TaskStarted {
		out.Fence = fenceTo(t.Fence)
	}
	return out
}

func taskError(e *fsm.TaskError) *apiv1.TaskError {
	if e == nil {
		return nil
	}
	return &apiv1.TaskError{Type: e.Err.GetType(), Message: e.Err.GetMessage(), Stack: e.Err.GetStack(), Step: e.Step, Shard: e.Shard}
}

func worker(v *fsm.SessionView) *apiv1.Worker {
	out := &apiv1.Worker{Session: v.ID, Name: v.Worker, Namespace: v.Namespace, Labels: v.Labels, OpenedMs: v.OpenedMS, Draining: v.Draining,
		Slots: v.Shared, Strict: v.Strict}
	for _, q := range v.Queues {
		out.Queues = append(out.Queues, &apiv1.QueueSlots{Queue: q.Queue, Slots: q.Slots})
		out.Used = append(out.Used, &apiv1.QueueSlots{Queue: q.Queue, Slots: q.Used})
		if q.Prefetch > 0 {
			out.Prefetch = append(out.Prefetch, &apiv1.QueueSlots{Queue: q.Queue, Slots: q.Prefetch})
		}
	}
	for _, k := range v.Kinds {
		out.Kinds = append(out.Kinds, &apiv1.TaskKind{Name: k.GetName(), Types: k.GetTypes()})
	}
	return out
}

func queue(q *fsm.QueueView) *apiv1.Queue {
	return &apiv1.Queue{Name: q.Name, Namespace: q.Namespace, Pending: q.Pending, Started: q.Started, Slots: q.Slots, Free: q.Free,
		Paused: q.Paused, Draining: q.Jobs.Draining, Settings: queueSettings(q), Jobs: queueJobs(&q.Jobs)}
}

func counters(c fsm.Counters) *apiv1.Counters {
	return &apiv1.Counters{
		JobsSubmitted: c.JobsSubmitted, JobsSucceeded: c.JobsSucceeded, JobsFailed: c.JobsFailed, JobsCanceled: c.JobsCanceled,
		Deduplicated: c.Deduplicated, Replaced: c.Replaced, BatchesCreated: c.BatchesCreated, BatchCallbacks: c.BatchCallbacks,
		Grants: c.Grants, Completions: c.Completions, Duplicates: c.Duplicates, Stale: c.Stale,
		Failures: c.Failures, Crashes: c.Crashes, Releases: c.Releases, Dead: c.Dead,
		SessionsOpened: c.SessionsOpened, SessionsLost: c.SessionsLost,
		TimersFired: c.TimersFired, JobsPurged: c.JobsPurged, Snoozes: c.Snoozes,
		Deliveries: c.Deliveries, DeliveryFailures: c.DeliveryFailures,
		Saves: c.Saves, LogLines: c.LogLines, LogLinesDropped: c.LogLinesDropped,
		SchedulesCreated: c.SchedulesCreated, SchedulesDeleted: c.SchedulesDeleted,
		TicksFired: c.TicksFired, TicksSkipped: c.TicksSkipped, TicksMissed: c.TicksMissed, TicksRefused: c.TicksRefused,
		RateLimited: c.RateLimited,
		Discards:    c.Discards, JobsExpired: c.JobsExpired, JobsDiscarded: c.JobsDiscarded,
	}
}

func fenceOf(f *apiv1.Fence) fsm.Fence { return fsm.Fence{Index: f.GetIndex(), Pos: f.GetPos()} }

func fencesOf(all []*apiv1.Fence) []fsm.Fence {
	out := make([]fsm.Fence, len(all))
	for i, f := range all {
		out[i] = fenceOf(f)
	}
	return out
}

func fenceTo(f fsm.Fence) *apiv1.Fence { return &apiv1.Fence{Index: f.Index, Pos: f.Pos} }

func fencesTo(all []fsm.Fence) []*apiv1.Fence {
	out := make([]*apiv1.Fence, len(all))
	for i, f := range all {
		out[i] = &apiv1.Fence{Index: f.Index, Pos: f.Pos}
	}
	return out
}
