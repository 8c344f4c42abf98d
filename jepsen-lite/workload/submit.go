package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/fsm/fsmpb"
	"github.com/fanfold/fanfold/jepsen-lite/evidence"
	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// echoTask gives its input back.
var echoTask = sdk.NewTask("chaos.echo", func(_ context.Context, in string) (string, error) { return in, nil },
	sdk.Retry(sdk.RetryPolicy{MaxAttempts: 100, First: 50 * time.Millisecond, Cap: 500 * time.Millisecond, CrashLimit: 100}))

func init() {
	register(Workload{
		Name:   "submit",
		About:  "clients submit jobs with keys, a fifth of them twice, wait for the results, share unique keys of all modes, and make mistakes",
		Units:  submitUnits,
		Run:    runSubmit,
		Settle: settleSubmit,
		Check:  checkSubmit,
	})
}

func runSubmit(ctx context.Context, l *Load) error {
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			name := "c" + strconv.Itoa(c)
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("%s-%d", name, n)
				id := runJob(ctx, l, name, key, echoTask, key)
				if r.IntN(5) == 0 {
					runJob(ctx, l, name, key, echoTask, key) // the same again
				}
				if r.IntN(5) == 0 && id != "" {
					runMistake(ctx, l, name, r, good{id, key})
				}
				if r.IntN(5) == 0 {
					runUnique(ctx, l, name, key, r)
				}
			}
		})
	}
	clients.Wait()
	return nil
}

// submitUnits are what the jobs of runSubmit need.
func submitUnits(string) []sdk.Registrable { return []sdk.Registrable{echoTask, slowTask} }

// slowTask gives its input back after a while, so that others meet its unique key.
var slowTask = sdk.NewTask("chaos.slow", func(ctx context.Context, in string) (string, error) {
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(60 * time.Millisecond)))):
		return in, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 100, First: 50 * time.Millisecond, Cap: 500 * time.Millisecond, CrashLimit: 100}))

// uniqueModes are the keys that all clients share, each with its mode.
var uniqueModes = []sdk.SubmitOption{
	sdk.Unique(sdk.UniqueConfig{Key: "existing"}),
	sdk.Unique(sdk.UniqueConfig{Key: "replace", OnConflict: sdk.Replace}),
	sdk.Unique(sdk.UniqueConfig{Key: "reject", OnConflict: sdk.Reject}),
	sdk.Unique(sdk.UniqueConfig{Key: "bounded", TTL: 40 * time.Millisecond}),
	sdk.Unique(sdk.UniqueConfig{Key: "start", Scope: sdk.UntilStart}),
	sdk.Throttle("throttle", 200*time.Millisecond),
	sdk.Debounce("debounce", 50*time.Millisecond, 200*time.Millisecond),
	sdk.KeepLatest("latest"),
}

// runUnique submits a job with a unique key, which another client's job may have. What has to be true of it is in the
// log (S9).
func runUnique(ctx context.Context, l *Load, client, input string, r *rand.Rand) {
	call, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	n := r.IntN(len(uniqueModes))
	_, _ = l.Do(client, "submit-unique", strconv.Itoa(n), "", func() (string, error) {
		job, err := slowTask.Submit(call, l.Client, input, uniqueModes[n])
		if err != nil {
			return "", err
		}
		return job.ID(), nil
	})
}

// settleSubmit waits for the end of every job that was acknowledged, and for one new.
func settleSubmit(ctx context.Context, l *Load) error {
	if err := awaitAll(l, func(id string) error {
		_, err := echoTask.Attach(l.Client, id).Await(ctx)
		return err
	}); err != nil {
		return err
	}
	_, err := l.Do("settle", "submit", "settle", "", func() (string, error) {
		job, err := echoTask.Submit(ctx, l.Client, "settle", sdk.JobKey("settle"))
		if err != nil {
			return "", err
		}
		_, err = job.Await(ctx)
		return job.ID(), err
	})
	return err
}

// checkSubmit compares what clients were told with the state that the log leads to.
func checkSubmit(e *evidence.Evidence) []evidence.Verdict {
	lost := evidence.Verdict{ID: "S1", Rule: "an acknowledged submission is in the state, and has its result"}
	once := evidence.Verdict{ID: "S3", Rule: "one key is one job, however often it was submitted"}
	right := evidence.Verdict{ID: "S2", Rule: "a client that was given a result was given the right one"}
	keys := map[string]string{} // key -> job
	input := map[string]string{}
	v := e.Ledger.Machine.View()
	defer v.Close()
	for _, op := range e.Ops {
		switch {
		case op.Kind == "submit" && op.Outcome == history.OK:
			lost.Count++
			once.Count++
			if was, ok := keys[op.Key]; ok && was != op.Value {
				once.Violate(fmt.Sprintf("key %s was answered with job %s, and at %v with job %s", op.Key, was, op.End, op.Value))
			}
			keys[op.Key], input[op.Value] = op.Value, op.Key
			id, err := fsm.ParseJobID(op.Value)
			if err == nil {
				var j *fsm.JobView
				if j, err = v.Job(id); err == nil && j.State != fsm.JobSuccess {
					err = errors.New("it is " + j.State.String())
				}
			}
			if err != nil {
				lost.Violate(fmt.Sprintf("job %s of key %s, acknowledged at %v: %v", op.Value, op.Key, op.End, err))
			}
		case op.Kind == "await" && op.Outcome == history.OK:
			right.Count++
			if want := input[op.Key]; op.Value != want {
				right.Violate(fmt.Sprintf("job %s of key %q was answered with %q at %v", op.Key, want, op.Value, op.End))
			}
		}
	}
	return append(checkMistakes(e), lost, once, right, checkMerged(e))
}

// checkMerged demands that a debounced job has run with the input of the last submission that it stands for.
func checkMerged(e *evidence.Evidence) evidence.Verdict {
	merged := evidence.Verdict{ID: "S9", Rule: "a debounced job runs with the input of its last submission"}
	input := map[fsm.JobID]string{}
	seen := map[string]bool{} // ids of submissions: a repeated one does not bring its input back
	for _, entry := range e.Ledger.Entries {
		for i, c := range entry.Commands {
			k, ok := c.Kind.(*fsmpb.Command_SubmitJob)
			if !ok || entry.Result.Answers[i].Refusal != nil || seen[string(k.SubmitJob.Job)] {
				continue
			}
			var o fsmpb.JobOptions
			if proto.Unmarshal(k.SubmitJob.Options, &o) == nil && o.GetUnique().GetMode() == fsmpb.Unique_DEBOUNCE {
				seen[string(k.SubmitJob.Job)] = true
				input[entry.Result.Answers[i].Job] = string(k.SubmitJob.Input.GetInline())
			}
		}
	}
	v := e.Ledger.Machine.View()
	defer v.Close()
	for id, want := range input {
		var got strings.Builder
		if v.JobResult(&got, id) != nil {
			continue // it has not succeeded
		}
		if merged.Count++; got.String() != want {
			merged.Violate(fmt.Sprintf("job %s has the result %s; the last input was %s", id, got.String(), want))
		}
	}
	return merged
}
