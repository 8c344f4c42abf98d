package sdk

import (
	"context"
	"strconv"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// TaskInfo says which attempt of which task a context belongs to.
type TaskInfo struct {
	Job      string // id
	Workflow string
	Step     string // the step's name in the workflow
	Task     string // the task's name
	// Shard is the item's position for a task of Each, and the node of the tree for one of Fold.
	Shard    uint64
	Attempt  int // from 1
	Crashes  int // how many workers have been lost with this task
	Queue    string
	Worker   string    // name of this worker
	Deadline time.Time // of the attempt, by Timeout; zero: none
	Schedule string    // that made the job; "": it was submitted
	Tick     time.Time // of Schedule, for which the job is; zero: it was submitted
}

type attemptKey struct{}

// attemptOf panics outside a task: there is no answer, and "" as a key would be the wrong one.
func attemptOf(ctx context.Context, what string) *attempt {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		panic("sdk: " + what + " needs the context of a task; this one does not come from a worker")
	}
	return a
}

// Info says which task is running. Outside a task it panics.
func Info(ctx context.Context) TaskInfo {
	a := attemptOf(ctx, "Info")
	deadline, _ := ctx.Deadline()
	m := a.msg
	var tick time.Time
	if m.TickMs != 0 {
		tick = time.UnixMilli(m.TickMs)
	}
	return TaskInfo{
		Schedule: m.Schedule, Tick: tick,
		Job: m.Job, Workflow: m.Workflow, Step: m.Step, Task: m.Kind, Shard: m.Task.GetShard(),
		Attempt: int(m.Attempt), Crashes: int(m.Crashes), Queue: m.Queue, Worker: a.session.worker.cfg.Name,
		Deadline: deadline,
	}
}

// Headers are those of the job, by sdk.Header or an interceptor of its submitter. Read only. Outside a task
// it panics.
func Headers(ctx context.Context) map[string]string { return attemptOf(ctx, "Headers").msg.Headers }

// Key is the task's name in the world: job/step/shard, the same in all its attempts, on whatever worker.
// Give it to outside systems as the idempotency key, so that an effect that was made by an attempt that
// did not live to report it is not made twice. Outside a task it panics.
func Key(ctx context.Context) string {
	m := attemptOf(ctx, "Key").msg
	return m.Job + "/" + m.Step + "/" + strconv.FormatUint(m.Task.GetShard(), 10)
}

// Fence is a number that grows with every lease of the task. Give it to stores that can refuse writes
// under an older one, against a worker that was paused, has lost its lease and does not know it yet.
// Outside a task it panics.
func Fence(ctx context.Context) uint64 {
	f := attemptOf(ctx, "Fence").fence
	return f.index<<fencePosBits | uint64(f.pos)
}

// fencePosBits has room for the leases that one log entry can grant; 44 bits remain for the entries.
const fencePosBits = 20

// Progress tells people how far the task is. It travels with the worker's next message, within a second, and only the
// last word counts, so it may be called as often as one likes. Outside a task it panics.
func Progress(ctx context.Context, done, total int64, note string) {
	a := attemptOf(ctx, "Progress")
	a.session.progressed(a, &apiv1.Progress{
		Fence: a.fence.proto(), Done: uint64(max(done, 0)), Total: uint64(max(total, 0)), Note: clip(note, 255),
	})
}
