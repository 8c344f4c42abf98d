package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/sdk"
)

// leaseTTL is short, so that leases end often.
const leaseTTL = time.Second

// stall is the input of a task that stalls.
type stall struct {
	Sink string `json:"sink"`
	Key  string `json:"key"`
	// StallMS is how long it stalls before it writes to the sink.
	StallMS int64 `json:"stall_ms"`
	// Zombie makes it go on although its context is canceled: a task that does not listen.
	Zombie bool `json:"zombie"`
}

var stallTask = sdk.NewTask("chaos.stall", func(ctx context.Context, in stall) (uint64, error) {
	done := ctx.Done()
	if in.Zombie {
		done = nil
	}
	select {
	case <-time.After(time.Duration(in.StallMS) * time.Millisecond):
	case <-done:
		return 0, context.Cause(ctx)
	}
	fence := sdk.Fence(ctx)
	accepted, err := writeSink(context.WithoutCancel(ctx), in.Sink, sinkWrite{in.Key, fence})
	if err == nil && !accepted {
		err = errors.New("the sink has seen a higher fence: this attempt is over")
	}
	return fence, err
}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 1000, First: 20 * time.Millisecond, Cap: 200 * time.Millisecond, CrashLimit: 1000}))

// leaseSinks are the sinks of runs under way, by directory: the check needs what they saw.
var leaseSinks sync.Map

func init() {
	register(Workload{
		Name:   "lease",
		About:  "tasks that stall around their lease of one second, some deaf to cancellation, each writing to a store that checks fences",
		Units:  func(string) []sdk.Registrable { return []sdk.Registrable{stallTask} },
		Worker: func(c *sdk.WorkerConfig) { c.LeaseTTL = leaseTTL },
		Run:    runLease,
		Settle: settleLease,
		Check:  checkLease,
	})
}

func runLease(ctx context.Context, l *Load) error {
	s, err := openSink()
	if err != nil {
		return err
	}
	leaseSinks.Store(l.Dir, s)
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				in := stall{Sink: s.listener.Addr().String(), Key: fmt.Sprintf("c%d-%d", c, n), StallMS: r.Int64N(50), Zombie: r.IntN(3) == 0}
				if r.IntN(10) == 0 {
					in.StallMS = r.Int64N(2 * leaseTTL.Milliseconds())
				}
				runJob(ctx, l, "c"+strconv.Itoa(c), in.Key, stallTask, in)
			}
		})
	}
	clients.Wait()
	return nil
}

// runJob submits a job and waits for its result for a while, as two operations.
func runJob[In, Out any](ctx context.Context, l *Load, client, key string, u sdk.Submittable[In, Out], in In) (id string) {
	call, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	var job *sdk.Job[Out]
	_, err := l.Do(client, "submit", key, "", func() (string, error) {
		var err error
		if job, err = u.Submit(call, l.Client, in, sdk.JobKey(key)); err != nil {
			return "", err
		}
		return job.ID(), nil
	})
	if err != nil {
		return ""
	}
	_, _ = l.Do(client, "await", job.ID(), "", func() (string, error) {
		out, err := job.Await(call)
		return fmt.Sprint(out), err
	})
	return job.ID()
}

func settleLease(ctx context.Context, l *Load) error {
	return awaitAll(l, func(id string) error {
		_, err := stallTask.Attach(l.Client, id).Await(ctx)
		return err
	})
}

// checkLease compares the sink's fences with the results that the log accepted.
func checkLease(e *evidence.Evidence) []evidence.Verdict {
	last := evidence.Verdict{ID: "A7", Rule: "a store that checks fences has last been written under the fence of the accepted result"}
	loaded, ok := leaseSinks.LoadAndDelete(e.Dir)
	if !ok {
		last.Violate("the sink is missing: the run did not begin")
		return []evidence.Verdict{last}
	}
	regs := loaded.(*sink).close()
	keys := map[fsm.JobID]string{}
	for _, op := range e.Ops {
		if id, err := fsm.ParseJobID(op.Value); op.Kind == "submit" && err == nil {
			keys[id] = op.Key
		}
	}
	for _, entry := range e.Ledger.Entries {
		for i, c := range entry.Commands {
			k, ok := c.Kind.(*fsmpb.Command_CompleteTask)
			if a := entry.Result.Answers[i]; !ok || a.Refusal != nil || a.Duplicate {
				continue
			}
			key, known := keys[fsm.JobID(k.CompleteTask.GetTask().GetJob())]
			r := regs[key]
			if !known || r == nil {
				continue // a client that never learned the id, or a settling job
			}
			last.Count++
			f := k.CompleteTask.GetFence()
			if fence := f.GetIndex()<<20 | uint64(f.GetPos()); fence != r.fence {
				last.Violate(fmt.Sprintf("index %d: key %s has the result of fence %d; the store was last written under %d", entry.Index, key, fence, r.fence))
			}
		}
	}
	return []evidence.Verdict{last}
}
