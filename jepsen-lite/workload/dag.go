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

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// Each job of this workload is another graph, made of the number at the end of its key; what its tasks return,
// and how often they fail first, is made of that number too (dag_fate.go). So the check can compute what
// every job must come to, without the cluster.
func init() {
	register(Workload{
		Name:   "dag",
		About:  "every job another random graph, of all verbs of the SDK, whose tasks fail, panic and die as an oracle knows; some jobs are canceled, some that failed are run again",
		Units:  dagUnits,
		Run:    runDAG,
		Settle: settleDAG,
		Check:  checkDAG,
	})
}

func runDAG(ctx context.Context, l *Load) error {
	var clients sync.WaitGroup
	for c := range l.Clients {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(l.Seed, uint64(c)))
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("c%d-%d-%d", c, n, r.Uint64N(1<<40))
				runGraph(ctx, l, "c"+strconv.Itoa(c), key, r)
			}
		})
	}
	clients.Wait()
	return nil
}

// runGraph submits the graph of a key, waits for its end, and at times cancels it before, or runs it again
// after a failure.
func runGraph(ctx context.Context, l *Load, client, key string, r *rand.Rand) {
	call, cancel := context.WithTimeout(ctx, 2*opTimeout) // a graph has some ten steps, one after another
	defer cancel()
	var job *sdk.Job[uint64]
	_, err := l.Do(client, "submit", key, "", func() (string, error) {
		var err error
		if job, err = submitGraph(call, l.Client, key); err != nil {
			return "", err
		}
		return job.ID(), nil
	})
	if err != nil {
		return
	}
	if r.IntN(10) == 0 {
		pause(call, time.Duration(r.IntN(200))*time.Millisecond)
		_, _ = l.Do(client, "cancel", job.ID(), "", func() (string, error) { return "", job.Cancel(call, "on purpose") })
	}
	end, err := awaitGraph(call, l, client, job)
	if err != nil || !strings.HasPrefix(end, string(sdk.Failure)) || r.IntN(3) > 0 {
		return
	}
	if _, err := l.Do(client, "retry", job.ID(), "", func() (string, error) { return "", job.Retry(call) }); err == nil {
		_, _ = awaitGraph(call, l, client, job)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// awaitGraph waits for a job's end, and records it: its number, or how it ended and where.
func awaitGraph(ctx context.Context, l *Load, client string, job *sdk.Job[uint64]) (string, error) {
	return l.Do(client, "await", job.ID(), "", func() (string, error) {
		out, err := job.Await(ctx)
		var failed *sdk.JobError
		if errors.As(err, &failed) {
			return strings.TrimSpace(string(failed.State) + " " + failed.Step), nil
		}
		return strconv.FormatUint(out, 10), err
	})
}

func submitGraph(ctx context.Context, c *sdk.Client, key string) (*sdk.Job[uint64], error) {
	seed := seedOf(key)
	return sketchOf(seed).workflow().Submit(ctx, c, firstValue(seed), sdk.JobKey(key), sdk.Header(seedHeader, strconv.FormatUint(seed, 10)))
}

// seedOf reads the number off a key.
func seedOf(key string) uint64 {
	seed, err := strconv.ParseUint(key[strings.LastIndexByte(key, '-')+1:], 10, 64)
	if err != nil {
		panic(err) // a key that this file did not make
	}
	return seed
}

func settleDAG(ctx context.Context, l *Load) error {
	keys := map[string]string{}
	for _, op := range l.History.Ops() {
		if op.Kind == "submit" && op.Outcome == history.OK {
			keys[op.Value] = op.Key
		}
	}
	return awaitAll(l, func(id string) error {
		_, err := awaitGraph(ctx, l, "settle", sketchOf(seedOf(keys[id])).workflow().Attach(l.Client, id))
		return err
	})
}
