package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// tasks are the functions that workers run. What becomes of an attempt depends on the seed, the task's key and
// how many attempts it has had.
type tasks struct {
	seed uint64

	mu       sync.Mutex // guards what follows
	attempts map[string]int

	chain                   *sdk.Workflow[string, string]
	spread                  *sdk.Workflow[int, int]
	step, limited, stubborn *sdk.Task[string, string]
}

// patient outlives any number of faults.
var patient = sdk.Retry(sdk.RetryPolicy{MaxAttempts: 10_000, CrashLimit: 10_000, First: 50 * time.Millisecond, Cap: time.Second})

const limitedTask = "sim.limited"

func newTasks(seed uint64) *tasks {
	t := &tasks{seed: seed, attempts: map[string]int{}}
	echo := func(ctx context.Context, in string) (string, error) { return in, t.attempt(ctx) }
	t.step = sdk.NewTask("sim.step", echo, patient)
	t.limited = sdk.NewTask(limitedTask, echo, patient)
	t.stubborn = sdk.NewTask("sim.stubborn", func(ctx context.Context, in string) (string, error) {
		if t.count("stubborn "+in) == 0 {
			return "", sdk.Permanent(errors.New("not the first time"))
		}
		return in, t.attempt(ctx)
	}, patient)
	items := sdk.NewTask("sim.items", func(ctx context.Context, n int) ([]int, error) {
		all := make([]int, n)
		for i := range all {
			all[i] = i + 1
		}
		return all, t.attempt(ctx)
	}, patient)
	square := sdk.NewTask("sim.square", func(ctx context.Context, n int) (int, error) { return n * n, t.attempt(ctx) }, patient)
	total := sdk.NewTask("sim.total", func(ctx context.Context, all []int) (sum int, _ error) {
		for _, n := range all {
			sum += n
		}
		return sum, t.attempt(ctx)
	}, patient)
	t.chain = sdk.NewWorkflow("sim.chain", func(in sdk.Ref[string]) sdk.Ref[string] {
		return sdk.Then(sdk.Then(sdk.Then(in, t.step), t.step), t.step)
	})
	t.spread = sdk.NewWorkflow("sim.spread", func(n sdk.Ref[int]) sdk.Ref[int] {
		return sdk.Fold(sdk.Each(sdk.Then(n, items), square, sdk.MaxParallel(5)), total, sdk.FanIn(3))
	})
	return t
}

func (t *tasks) units() []sdk.Registrable {
	return []sdk.Registrable{t.chain, t.spread, t.limited, t.stubborn}
}

// squares is the answer of spread.
func squares(n int) int { return n * (n + 1) * (2*n + 1) / 6 }

// count counts, from 0.
func (t *tasks) count(key string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.attempts[key]
	t.attempts[key]++
	return n
}

// attempt takes its time, and fails in its own way sometimes.
func (t *tasks) attempt(ctx context.Context) error {
	key := sdk.Key(ctx) // begins with the job's id, which is drawn
	if op := sdk.Headers(ctx)["sim-op"]; op != "" {
		key = op + key[strings.IndexByte(key, '/'):]
	}
	n := t.count(key)
	d := dice(t.seed, fmt.Sprintf("attempt %s %d", key, n))
	took := time.Duration(d.IntN(60)) * time.Millisecond
	if d.IntN(12) == 0 {
		took = time.Duration(d.IntN(3000)) * time.Millisecond // longer than some leases
	}
	deaf := d.IntN(3) == 0
	select {
	case <-time.After(took):
	case <-ctx.Done():
		if !deaf {
			return context.Cause(ctx)
		}
		time.Sleep(took)
	}
	switch d.IntN(30) {
	case 0:
		return errors.New("bad luck")
	case 1:
		panic("worse luck")
	case 2:
		return sdk.Snooze(200 * time.Millisecond)
	case 3:
		return sdk.RetryAfter(errors.New("later"), 300*time.Millisecond)
	}
	return nil
}
