package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// clusterOps are what clients of a whole cluster do. Each is in half of the plans.
var clusterOps = []string{
	"chain",    // three steps, one after another
	"map",      // a plan, a map over its items, a fold
	"twice",    // one key from two clients at the same time
	"unique",   // jobs that share a unique key
	"delayed",  // not before a time
	"cancel",   // a chain that is canceled on its way
	"retry",    // a job that fails for good, and is run again
	"limited",  // tasks of which few may run at a time
	"schedule", // a job every second or so
}

// callTime is how long a client waits for one call.
const callTime = 4 * time.Second

// op does one operation of the plan, for as long as it takes.
func (w *world) op(ctx context.Context, o Op) {
	time.Sleep(o.At)
	key := fmt.Sprintf("%s-%d", o.Kind, o.ID)
	client := o.ID % len(w.clients)
	switch o.Kind {
	case "chain":
		runJob(ctx, w, client, key, w.tasks.chain, key, key)
	case "map":
		runJob(ctx, w, client, key, w.tasks.spread, o.N, squares(o.N))
	case "twice":
		other := make(chan struct{})
		go func() {
			defer close(other)
			runJob(ctx, w, client, key, w.tasks.chain, key, key)
		}()
		runJob(ctx, w, (client+1)%len(w.clients), key, w.tasks.chain, key, key)
		<-other
	case "unique":
		shared := fmt.Sprintf("unique-%d", o.N%2)
		if job := submit(ctx, w, client, "unique", "", w.tasks.step, shared, sdk.Unique(sdk.UniqueConfig{Key: shared})); job != nil {
			await(ctx, w, key, job, shared)
		}
	case "delayed":
		if job := submit(ctx, w, client, "submit", key, w.tasks.step, key, sdk.StartAt(w.start.Add(o.At+o.Pause))); job != nil {
			await(ctx, w, key, job, key)
		}
	case "cancel":
		w.cancelOp(ctx, client, key, o)
	case "retry":
		w.retryOp(ctx, client, key)
	case "limited":
		w.limitedOp(ctx, client, key, o)
	case "schedule":
		w.scheduleOp(ctx, client, key, o)
	}
}

// runJob submits a job and compares its result.
func runJob[In any, Out comparable](ctx context.Context, w *world, client int, key string, u sdk.Submittable[In, Out], in In, want Out) {
	if job := submit(ctx, w, client, "submit", key, u, in); job != nil {
		await(ctx, w, key, job, want)
	}
}

// submit submits until it is known that it worked. nil: the time was over.
func submit[In, Out any](ctx context.Context, w *world, client int, kind, key string, u sdk.Submittable[In, Out], in In, opts ...sdk.SubmitOption) *sdk.Job[Out] {
	opts = append(opts, sdk.Header("sim-op", key))
	if key != "" {
		opts = append(opts, sdk.JobKey(key))
	} else {
		opts = append(opts, sdk.JobID(sdk.NewJobID()))
	}
	var job *sdk.Job[Out]
	w.insist(ctx, client, kind, key, func(ctx context.Context) (string, error) {
		var err error
		if job, err = u.Submit(ctx, w.clients[client], in, opts...); err != nil {
			return "", err
		}
		return job.ID(), nil
	})
	return job
}

// insist repeats a call until it is known to have worked, or to be refused for good, and records each try.
func (w *world) insist(ctx context.Context, client int, kind, key string, call func(context.Context) (string, error)) bool {
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, callTime)
		op := history.Op{Client: w.clientHost(client), Kind: kind, Key: key, Begin: time.Since(w.start)}
		value, err := call(one)
		cancel()
		op.End, op.Value, op.Outcome = time.Since(w.start), value, outcomeOf(err)
		if err != nil {
			op.Error = err.Error()
		}
		w.mu.Lock()
		w.ops = append(w.ops, op)
		w.mu.Unlock()
		switch {
		case err == nil:
			return true
		case errors.Is(err, sdk.ErrConflict), errors.Is(err, sdk.ErrInvalid), errors.Is(err, sdk.ErrNotFound), errors.Is(err, sdk.ErrExists):
			if kind == "submit" || kind == "unique" {
				w.violate("S5", "a submission can be repeated", fmt.Sprintf("key %s: %v", key, err))
			}
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.violate("L1", "every call succeeds after healing", fmt.Sprintf("%s of %s", kind, key))
	return false
}

// outcomeOf says what a client knows after an error.
func outcomeOf(err error) history.Outcome {
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, sdk.ErrOutcomeUnknown):
		return history.Unknown
	}
	for _, refused := range []error{sdk.ErrNotFound, sdk.ErrInvalid, sdk.ErrConflict, sdk.ErrNotEnded, sdk.ErrOverloaded, sdk.ErrNoLeader, sdk.ErrExists} {
		if errors.Is(err, refused) {
			return history.Fail
		}
	}
	return history.Unknown
}

// await waits for a job's end and compares its result.
func await[Out comparable](ctx context.Context, w *world, key string, job *sdk.Job[Out], want Out) {
	got, err := job.Await(ctx)
	switch {
	case ctx.Err() != nil:
		w.violate("L1", "every job ends after healing", fmt.Sprintf("job %s of %s: %v", job.ID(), key, err))
	case err != nil:
		w.violate("S2", "a job ends as its tasks do", fmt.Sprintf("job %s of %s: %v", job.ID(), key, err))
	case got != want:
		w.violate("D4", "a job's result is what its tasks make of its input", fmt.Sprintf("job %s of %s has %v, want %v", job.ID(), key, got, want))
	}
}

func (w *world) cancelOp(ctx context.Context, client int, key string, o Op) {
	job := submit(ctx, w, client, "submit", key, w.tasks.chain, key)
	if job == nil {
		return
	}
	time.Sleep(o.Pause / 4)
	acked := w.insist(ctx, client, "cancel", key, func(ctx context.Context) (string, error) { return job.ID(), job.Cancel(ctx, "sim") })
	got, err := job.Await(ctx)
	switch {
	case ctx.Err() != nil:
		w.violate("L1", "every job ends after healing", fmt.Sprintf("job %s of %s: %v", job.ID(), key, err))
	case errors.Is(err, sdk.ErrJobCanceled):
	case err != nil || got != key:
		w.violate("S7", "a job that was canceled is canceled, or has its result", fmt.Sprintf("job %s of %s: %v, %v", job.ID(), key, got, err))
	case acked && err == nil:
		// It had ended before: Cancel says ErrConflict then, or the first of two cancels was late.
	}
}

func (w *world) retryOp(ctx context.Context, client int, key string) {
	job := submit(ctx, w, client, "submit", key, w.tasks.stubborn, key)
	if job == nil {
		return
	}
	if _, err := job.Await(ctx); !errors.Is(err, sdk.ErrJobFailed) {
		if err != nil && ctx.Err() == nil {
			w.violate("S2", "a job ends as its tasks do", fmt.Sprintf("job %s of %s, which fails: %v", job.ID(), key, err))
		}
		return // the attempt that was to fail was lost, and another one has succeeded
	}
	if w.insist(ctx, client, "retry", key, func(ctx context.Context) (string, error) { return job.ID(), job.Retry(ctx) }) {
		await(ctx, w, key, job, key)
	}
}

func (w *world) limitedOp(ctx context.Context, client int, key string, o Op) {
	w.insist(ctx, client, "limit", key, func(ctx context.Context) (string, error) {
		return "", w.clients[client].SetLimit(ctx, sdk.Limit{Scope: sdk.LimitTask, Name: limitedTask, Kind: sdk.LimitConcurrency, N: limitedN})
	})
	for i := range o.N {
		one := fmt.Sprintf("%s-%d", key, i)
		runJob(ctx, w, client, one, w.tasks.limited, one, one)
	}
}

// limitedN is how many limited tasks may run at a time.
const limitedN = 1

func (w *world) scheduleOp(ctx context.Context, client int, key string, o Op) {
	w.insist(ctx, client, "schedule", key, func(ctx context.Context) (string, error) {
		return "", w.tasks.step.Schedule(ctx, w.clients[client], key, sdk.Schedule{
			Name: key, Every: time.Second + o.Pause, Missed: sdk.MissedFireAll, Overlap: sdk.OverlapAllow, End: w.start.Add(w.plan.Load + 2*time.Second),
		})
	})
}
