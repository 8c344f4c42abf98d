package workload

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// fate is what becomes of a task: it is made of the job's seed, the step's name and the item.
type fate struct {
	fails  int  // attempts that fail before one succeeds
	dies   bool // none succeeds
	panics bool // the failures are panics
	final  bool // it dies of its first failure
}

// dagAttempts is how many attempts the tasks of a graph have.
const dagAttempts = 4

// fateOf decides a task's fate. Of one in how many tasks dies; 0: none.
func fateOf(seed uint64, step string, shard uint64, mortal uint64) fate {
	h := mix(seed, nameHash(step), shard, 1)
	f := fate{panics: h>>16%4 == 0, final: h>>20%2 == 0, dies: mortal > 0 && mix(h, 2)%mortal == 0}
	if h%10 < 3 {
		f.fails = 1 + int(h>>8%(dagAttempts-1))
	}
	return f
}

// failures is how many failed attempts of the task the log has when it has ended.
func (f fate) failures() int {
	switch {
	case f.dies && f.final && !f.panics:
		return 1
	case f.dies:
		return dagAttempts
	}
	return f.fails
}

// meet lets a task that runs meet its fate: nil when this attempt succeeds.
func (f fate) meet(attempt int) error {
	if !f.dies && attempt > f.fails {
		return nil
	}
	err := fmt.Errorf("attempt %d: a failure on purpose", attempt)
	switch {
	case f.panics:
		panic(err)
	case f.dies && f.final:
		return sdk.Permanent(err)
	}
	return err
}

// One in so many steps and items dies; nodes of folds never do, because how many there are is the cluster's
// affair.
const (
	mortalSteps = 60
	mortalItems = 40
)

// seedHeader is the header by which tasks know their job's seed.
const seedHeader = "chaos-seed"

// task is a function of a graph: pure, but for its fate.
func task[In, Out any](name string, mortal uint64, pure func(step uint64, shard uint64, in In) Out) *sdk.Task[In, Out] {
	return sdk.NewTask(name, func(ctx context.Context, in In) (out Out, err error) {
		info := sdk.Info(ctx)
		seed, err := strconv.ParseUint(sdk.Headers(ctx)[seedHeader], 10, 64)
		if err != nil {
			return out, sdk.Permanent(errors.New("the job has no seed: " + err.Error()))
		}
		if err := fateOf(seed, info.Step, info.Shard, mortal).meet(info.Attempt); err != nil {
			return out, err
		}
		return pure(nameHash(info.Step), info.Shard, in), nil
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: dagAttempts, First: 10 * time.Millisecond, Cap: 50 * time.Millisecond, CrashLimit: 1000}))
}

// mix makes one number of many.
func mix(all ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, x := range all {
		h = (h ^ x) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return h
}

func nameHash(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}

func firstValue(seed uint64) uint64 { return mix(seed, 3) }
