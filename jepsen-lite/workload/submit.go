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
		About:  "clients submit jobs with keys, a fifth of them twice, wait for the results, and make mistakes",
		Units:  func(string) []sdk.Registrable { return []sdk.Registrable{echoTask} },
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
					runUnique(ctx, l, name, r.IntN(uniqueKeys))
				}
			}
		})
	}
	clients.Wait()
	return nil
}

// uniqueKeys is how many unique keys all clients share.
const uniqueKeys = 3

// runUnique submits a job with a unique key, which another client's job may hold. What has to be true of it is in the
// log.
func runUnique(ctx context.Context, l *Load, client string, n int) {
	call, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	key := "unique-" + strconv.Itoa(n)
	_, _ = l.Do(client, "submit-unique", key, "", func() (string, error) {
		job, err := echoTask.Submit(call, l.Client, key, sdk.Unique(sdk.UniqueConfig{Key: key}))
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
	return append(checkMistakes(e), lost, once, right)
}
