package sdktest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// gauge counts what runs at once.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) work() {
	n := g.now.Add(1)
	for old := g.most.Load(); n > old && !g.most.CompareAndSwap(old, n); old = g.most.Load() {
	}
	time.Sleep(100 * time.Millisecond)
	g.now.Add(-1)
}

// awaitAll submits n jobs and waits for their ends.
func awaitAll(t *testing.T, c *sdktest.Cluster, task *sdk.Task[int, int], n int, opts ...sdk.SubmitOption) {
	t.Helper()
	jobs, err := sdk.SubmitBatch(t.Context(), c.Client(), task, make([]int, n), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if _, err := job.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLimit_ConcurrencyHoldsAndIsEditedLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		client, ctx := c.Client(), t.Context()
		var g gauge
		task := sdk.NewTask("work", func(_ context.Context, n int) (int, error) { g.work(); return n, nil })
		limit := sdk.Limit{Scope: sdk.LimitTask, Name: "work", Kind: sdk.LimitConcurrency, N: 2}
		if err := client.SetLimit(ctx, limit); err != nil {
			t.Fatal(err)
		}
		c.StartWorker(sdk.WorkerConfig{}, task)
		awaitAll(t, c, task, 20)
		if n := g.most.Load(); n != 2 {
			t.Errorf("%d ran at once under a limit of 2", n)
		}
		limit.N = 5
		if err := client.SetLimit(ctx, limit); err != nil {
			t.Fatal(err)
		}
		all, err := client.Limits(ctx)
		if err != nil || len(all) != 1 || all[0].GetLimit().GetN() != 5 {
			t.Errorf("the limits are %v, %v", all, err)
		}
		awaitAll(t, c, task, 20)
		if n := g.most.Load(); n != 5 {
			t.Errorf("%d ran at once under a limit of 5", n)
		}
		if err := client.DeleteLimit(ctx, limit); err != nil {
			t.Fatal(err)
		}
		if err := client.DeleteLimit(ctx, limit); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("a limit that is gone: %v", err)
		}
		awaitAll(t, c, task, 20)
		if n := g.most.Load(); n != 8 {
			t.Errorf("%d ran at once without a limit on 8 slots", n)
		}
	})
}

func TestLimit_PerPartitionByTheInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		type mail struct {
			Tenant string `json:"tenant"`
		}
		var gauges [2]gauge
		task := sdk.NewTask("mail", func(_ context.Context, m mail) (int, error) {
			gauges[m.Tenant[0]-'a'].work()
			return 0, nil
		}, sdk.PartitionBy("/tenant"))
		err := c.Client().SetLimit(t.Context(), sdk.Limit{Scope: sdk.LimitTask, Name: "mail", PerPartition: true, Kind: sdk.LimitConcurrency, N: 2})
		if err != nil {
			t.Fatal(err)
		}
		var in []mail
		for i := range 20 {
			in = append(in, mail{Tenant: string(rune('a' + i%2))})
		}
		jobs, err := sdk.SubmitBatch(t.Context(), c.Client(), task, in)
		if err != nil {
			t.Fatal(err)
		}
		c.StartWorker(sdk.WorkerConfig{}, task)
		for _, job := range jobs {
			if _, err := job.Await(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range gauges {
			if n := gauges[i].most.Load(); n != 2 {
				t.Errorf("%d of partition %c ran at once under a limit of 2 each", n, 'a'+i)
			}
		}
	})
}

func TestRateLimited_WaitsAndCountsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		var calls atomic.Int64
		task := sdk.NewTask("api", func(ctx context.Context, _ int) (int, error) {
			if calls.Add(1) < 3 {
				return 0, sdk.RateLimited(errors.New("429"), time.Minute)
			}
			return sdk.Info(ctx).Attempt, nil
		}, sdk.NoRetry())
		c.StartWorker(sdk.WorkerConfig{}, task)
		start := time.Now()
		job, err := task.Submit(t.Context(), c.Client(), 1)
		if err != nil {
			t.Fatal(err)
		}
		attempt, err := job.Await(t.Context())
		if err != nil || attempt != 1 {
			t.Errorf("it ended in attempt %d with %v", attempt, err)
		}
		if took := time.Since(start); took < 2*time.Minute || took > 2*time.Minute+10*time.Second {
			t.Errorf("it took %v and was told to wait for a minute twice", took)
		}
	})
}

func TestWorker_QueuesShareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		var g gauge
		var order []string // the handler runs one at a time
		note := func(name string) *sdk.Task[int, int] {
			return sdk.NewTask(name, func(_ context.Context, n int) (int, error) {
				g.work()
				order = append(order, name)
				return n, nil
			}, sdk.Queue(name))
		}
		urgent, bulk := note("urgent"), note("bulk")
		var jobs []*sdk.Job[int]
		for _, task := range []*sdk.Task[int, int]{bulk, urgent} {
			some, err := sdk.SubmitBatch(t.Context(), c.Client(), task, make([]int, 10))
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, some...)
		}
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"urgent": 2, "bulk": 1}, Slots: 1, Strict: true}, urgent, bulk)
		for _, job := range jobs {
			if _, err := job.Await(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if g.most.Load() != 1 || order[9] != "urgent" || order[10] != "bulk" {
			t.Errorf("%d ran at once in one shared slot, in the order %v", g.most.Load(), order)
		}
	})
}
