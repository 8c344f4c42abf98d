package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

type order struct{ ID int }

// An order whose payment fails twice before it works. Key is the same in all attempts.
func ExampleNewTask() {
	var tries atomic.Int32
	process := sdk.NewTask("orders.process", func(ctx context.Context, o order) (string, error) {
		if tries.Add(1) < 3 {
			return "", errors.New("the bank is busy")
		}
		return fmt.Sprintf("order %d is paid at attempt %d", o.ID, sdk.Info(ctx).Attempt), nil
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 4, First: 10 * time.Millisecond, Factor: 2}))
	fmt.Println(run(process, order{123}))
	// Output: order 123 is paid at attempt 3 <nil>
}

// The contract is shared; the worker's program brings what the function needs.
func ExampleDeclare() {
	greet := sdk.Declare[string, string]("greet")
	greeting := "Hello, "
	bound := greet.Bind(func(_ context.Context, name string) (string, error) { return greeting + name, nil })
	fmt.Println(run(greet, "World", bound))
	// Output: Hello, World <nil>
}

func ExampleTask_With() {
	fails := sdk.NewTask("fails", func(ctx context.Context, _ int) (int, error) {
		return 0, fmt.Errorf("attempt %d", sdk.Info(ctx).Attempt)
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 2, First: time.Millisecond}))
	_, err := run(fails, 1)
	fmt.Println(err.(*sdk.JobError).Message)
	_, err = run(fails.With(sdk.NoRetry()), 1)
	fmt.Println(err.(*sdk.JobError).Message)
	// Output:
	// attempt 2
	// attempt 1
}

func ExampleTimeout() {
	slow := sdk.NewTask("slow", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}, sdk.Timeout(20*time.Millisecond), sdk.NoRetry())
	_, err := run(slow, 1)
	fmt.Println(err.(*sdk.JobError).Message)
	// Output: context deadline exceeded
}

func ExampleQueue() {
	where := sdk.NewTask("where", func(ctx context.Context, _ int) (string, error) { return sdk.Info(ctx).Queue, nil },
		sdk.Queue("gpu"), sdk.Priority(0))
	w := node().StartWorker(sdk.WorkerConfig{Queues: map[string]int{"gpu": 1}}, where)
	defer w.Stop()
	fmt.Println(run(where, 1))
	// Output: gpu <nil>
}

func ExamplePermanent() {
	var tries atomic.Int32
	reject := sdk.NewTask("reject", func(context.Context, int) (int, error) {
		tries.Add(1)
		return 0, sdk.Permanent(errors.New("there is no such account"))
	})
	_, err := run(reject, 1)
	fmt.Println(errors.Is(err, sdk.ErrJobFailed), tries.Load())
	// Output: true 1
}

// The other side says how long to wait; the default would be 15 s.
func ExampleRetryAfter() {
	var tries atomic.Int32
	ask := sdk.NewTask("ask", func(ctx context.Context, _ int) (int, error) {
		if tries.Add(1) == 1 {
			return 0, sdk.RetryAfter(errors.New("429 too many requests"), 20*time.Millisecond)
		}
		return sdk.Info(ctx).Attempt, nil
	})
	fmt.Println(run(ask, 1))
	// Output: 2 <nil>
}

// A task that finds that it has come too early. That is no failure: the attempt is not counted.
func ExampleSnooze() {
	var tries atomic.Int32
	early := sdk.NewTask("early", func(ctx context.Context, _ int) (int, error) {
		if tries.Add(1) < 3 {
			return 0, sdk.Snooze(5 * time.Millisecond)
		}
		return sdk.Info(ctx).Attempt, nil
	}, sdk.NoRetry())
	fmt.Println(run(early, 1))
	// Output: 1 <nil>
}

// Key names the task in outside systems, the same in all attempts; Fence grows with each lease.
func ExampleKey() {
	var keys []string
	var fences []uint64
	pay := sdk.NewTask("pay", func(ctx context.Context, _ int) (int, error) {
		keys, fences = append(keys, sdk.Key(ctx)), append(fences, sdk.Fence(ctx))
		if len(keys) == 1 {
			panic("crash after the payment")
		}
		return 0, nil
	}, sdk.Retry(sdk.RetryPolicy{First: time.Millisecond}))
	_, err := run(pay, 1)
	fmt.Println(err, keys[0] == keys[1], fences[0] < fences[1])
	// Output: <nil> true true
}

func ExampleInfo() {
	show := sdk.NewTask("show", func(ctx context.Context, _ string) (string, error) {
		i := sdk.Info(ctx)
		return fmt.Sprintf("task %s, step %s of %s, item %d, attempt %d", i.Task, i.Step, i.Workflow, i.Shard, i.Attempt), nil
	})
	w := sdk.NewWorkflow("flow", func(in sdk.Ref[[]string]) sdk.Ref[[]string] {
		return sdk.Each(in, show, sdk.StepName("look"))
	})
	out, err := run(w, []string{"a", "b"})
	fmt.Println(out[1], err)
	// Output: task show, step look of flow, item 1, attempt 1 <nil>
}

func ExampleProgress() {
	long := sdk.NewTask("long", func(ctx context.Context, n int64) (int64, error) {
		for i := range n {
			sdk.Progress(ctx, i+1, n, "rows")
		}
		sdk.Log(ctx).Info("all rows are done") // with job, step, shard and attempt
		return n, nil
	})
	fmt.Println(run(long, 1000))
	// Output: 1000 <nil>
}
