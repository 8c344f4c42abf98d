package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// coreOps are what clients of the core tier do. Each is in half of the plans.
var coreOps = []string{"chain", "map", "twice", "unique", "delayed", "cancel", "retry", "limited", "schedule"}

// The graphs of the core tier. Their tasks are lost and fail as often as it pleases chance.
var (
	coreRetry = dag.Retry{MaxAttempts: 10_000, CrashLimit: 10_000, FirstMS: 50, CapMS: 500}
	coreChain = coreGraph("chain", func(b *dag.Builder) dag.Expr {
		at := dag.Input()
		for i := range 3 {
			at = b.Task(fmt.Sprint("s", i), dag.Step{Task: "step", Input: at, Options: dag.Options{Retry: coreRetry}})
		}
		return at
	})
	coreSpread = coreGraph("spread", func(b *dag.Builder) dag.Expr {
		m := b.Map("m", dag.Step{Task: "item", Input: dag.Input(), Options: dag.Options{Retry: coreRetry, MaxParallel: 5}})
		return b.Fold("f", dag.Step{Task: "step", Input: m, Options: dag.Options{Retry: coreRetry, FanIn: 3}})
	})
	coreOne      = coreGraph("one", one("step", coreRetry))
	coreLimited  = coreGraph("limited", one(limitedTask, coreRetry))
	coreStubborn = coreGraph("stubborn", one("stubborn", coreRetry))
)

func one(task string, r dag.Retry) func(*dag.Builder) dag.Expr {
	return func(b *dag.Builder) dag.Expr {
		return b.Task("only", dag.Step{Task: task, Input: dag.Input(), Options: dag.Options{Retry: r}})
	}
}

func coreGraph(name string, build func(*dag.Builder) dag.Expr) []byte {
	b := dag.NewBuilder(name)
	b.Output(build(b))
	g, err := b.Build()
	if err != nil {
		panic(err) // a graph of this file
	}
	return dag.Encode(g)
}

// jobOf is the id of an operation's job.
func (w *coreWorld) jobOf(key string) (id fsm.JobID) {
	d := dice(w.plan.Seed, "job "+key)
	binary.BigEndian.PutUint64(id[:], uint64(w.start.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], d.Uint64())
	return id
}

func (w *coreWorld) op(o Op) {
	time.Sleep(o.At)
	key := fmt.Sprintf("%s-%d", o.Kind, o.ID)
	switch o.Kind {
	case "chain":
		w.submit(key, coreChain, `1`, nil)
	case "map":
		w.submit(key, coreSpread, "["+strings.TrimSuffix(strings.Repeat("1,", o.N), ",")+"]", nil)
	case "twice":
		done := make(chan struct{})
		go func() { defer close(done); w.submit(key, coreChain, `1`, nil) }()
		w.submit(key, coreChain, `1`, nil)
		<-done
	case "unique":
		options, err := proto.Marshal(&fsmpb.JobOptions{Unique: &fsmpb.Unique{Key: fmt.Sprint("unique-", o.N%2)}})
		if err != nil {
			panic(err)
		}
		w.submit(key, coreOne, `1`, func(s *fsmpb.SubmitJob) { s.Key, s.Options = "", options })
	case "delayed":
		w.submit(key, coreOne, `1`, func(s *fsmpb.SubmitJob) { s.NotBeforeMs = w.start.Add(o.At + o.Pause).UnixMilli() })
	case "cancel":
		w.submit(key, coreChain, `1`, nil)
		time.Sleep(o.Pause / 8)
		id := w.jobOf(key)
		w.insist("cancel", key, func(ctx context.Context, e *engine.Engine) (string, error) {
			_, _, err := e.Cancel(ctx, id, "sim")
			return id.String(), err
		})
	case "retry":
		w.submit(key, coreStubborn, `1`, nil)
		id := w.jobOf(key)
		time.Sleep(o.Pause)
		w.insist("retry", key, func(ctx context.Context, e *engine.Engine) (string, error) {
			_, _, err := e.Retry(ctx, id)
			return id.String(), err
		})
	case "limited":
		w.insist("limit", key, func(ctx context.Context, e *engine.Engine) (string, error) {
			_, err := e.SetLimit(ctx, &fsmpb.Limit{Namespace: "default", Scope: fsmpb.LimitScope_LIMIT_SCOPE_TASK, Name: limitedTask, Kind: fsmpb.LimitKind_LIMIT_KIND_CONCURRENCY, N: limitedN})
			return "", err
		})
		for i := range o.N {
			w.submit(fmt.Sprintf("%s-%d", key, i), coreLimited, `1`, nil)
		}
	case "schedule":
		w.insist("schedule", key, func(ctx context.Context, e *engine.Engine) (string, error) {
			_, _, err := e.SetSchedule(ctx, &fsmpb.SetSchedule{
				Namespace: "default", Name: key, EveryMs: 1000 + o.Pause.Milliseconds(), Graph: coreOne, Input: &fsmpb.Value{Inline: []byte(`1`)},
				Missed: fsmpb.Missed_MISSED_FIRE_ALL, Overlap: fsmpb.Overlap_OVERLAP_ALLOW, EndMs: w.start.Add(w.plan.Load + time.Second).UnixMilli(),
			})
			return "", err
		})
	}
}

func (w *coreWorld) submit(key string, graph []byte, input string, change func(*fsmpb.SubmitJob)) {
	id := w.jobOf(key)
	s := &fsmpb.SubmitJob{Job: id[:], Namespace: "default", Graph: graph, Input: &fsmpb.Value{Inline: []byte(input)}, Key: key}
	if change != nil {
		change(s)
	}
	kind := "submit"
	if s.Key == "" {
		kind = "unique"
	}
	w.insist(kind, s.Key, func(ctx context.Context, e *engine.Engine) (string, error) {
		answers, _, err := e.Submit(ctx, []*fsmpb.SubmitJob{s})
		if err != nil {
			return "", err
		}
		if no := answers[0].Refusal; no != nil {
			return "", no
		}
		return answers[0].Job.String(), nil
	})
}

// insist repeats a call until its outcome is known, and records each try.
func (w *coreWorld) insist(kind, key string, call func(context.Context, *engine.Engine) (string, error)) {
	d := dice(w.plan.Seed, "client "+kind+key)
	for w.stop.Err() == nil {
		e := w.leading()
		if e == nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		ctx, cancel := context.WithTimeout(w.stop, time.Second)
		op := history.Op{Client: "c", Kind: kind, Key: key, Begin: time.Since(w.start)}
		value, err := call(ctx, e)
		cancel()
		op.End, op.Value = time.Since(w.start), value
		op.Outcome = coreOutcome(err)
		w.mu.Lock()
		if d.IntN(100) < w.drop {
			op.Outcome, op.Value, err = history.Unknown, "", errLost
		}
		if err != nil {
			op.Error = err.Error()
		}
		w.ops = append(w.ops, op)
		w.mu.Unlock()
		var no *fsm.Refusal
		if err == nil || errors.As(err, &no) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func coreOutcome(err error) history.Outcome {
	var no *fsm.Refusal
	switch {
	case err == nil:
		return history.OK
	case errors.As(err, &no), errors.Is(err, engine.ErrNotLeader), errors.Is(err, engine.ErrOverloaded):
		return history.Fail
	}
	return history.Unknown
}
