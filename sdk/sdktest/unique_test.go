package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestCluster_AUniqueKeyHasOneHolderOverFailovers: many submitters of few keys, while leaders die. No two
// jobs of a key run at once, and in the end every key is free. (Law 9.)
func TestCluster_AUniqueKeyHasOneHolderOverFailovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		var running [4]atomic.Int32
		var twice, runs atomic.Int32
		task := sdk.NewTask("unique", func(ctx context.Context, k int) (int, error) {
			runs.Add(1)
			if running[k].Add(1) > 1 {
				twice.Add(1)
			}
			defer running[k].Add(-1)
			time.Sleep(300 * time.Millisecond)
			return k, nil
		})
		c.StartWorker(sdk.WorkerConfig{}, task)
		done := make(chan error, 8)
		for w := range 8 {
			go func() {
				var err error
				for i := range 40 {
					k := (w + i) % 4
					_, e := task.Submit(t.Context(), c.Client(), k, sdk.Unique(sdk.UniqueConfig{Key: fmt.Sprint("k", k)}))
					err = errors.Join(err, e)
					time.Sleep(100 * time.Millisecond)
				}
				done <- err
			}()
		}
		for range 2 {
			time.Sleep(time.Second)
			id := c.KillLeader()
			c.Leader()
			if err := c.Restart(id); err != nil {
				t.Error(err)
			}
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Second)
		if twice.Load() > 0 || runs.Load() < 8 {
			t.Errorf("%d of %d runs met another of their key", twice.Load(), runs.Load())
		}
		for k := range 4 { // free: a new job, not an existing one
			job, err := task.Submit(t.Context(), c.Client(), k, sdk.Unique(sdk.UniqueConfig{Key: fmt.Sprint("k", k), OnConflict: sdk.Reject}))
			if err != nil {
				t.Errorf("key %d is not free: %v", k, err)
				continue
			}
			if _, err := job.Await(t.Context()); err != nil || job.Existing() {
				t.Errorf("key %d: existing %v, %v", k, job.Existing(), err)
			}
		}
		time.Sleep(5 * time.Second)
		sameHashes(t, c, 3)
	})
}

// TestCluster_ABatchCallsBackOnceOverFailovers.
func TestCluster_ABatchCallsBackOnceOverFailovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		member := sdk.NewTask("member", func(ctx context.Context, n int) (int, error) {
			time.Sleep(time.Duration(n%10) * 200 * time.Millisecond)
			if n == 13 {
				return 0, sdk.Permanent(errors.New("unlucky"))
			}
			return n, nil
		})
		callback := sdk.NewTask("callback", func(ctx context.Context, o sdk.BatchOutcome[string]) (sdk.BatchOutcome[string], error) { return o, nil })
		c.StartWorker(sdk.WorkerConfig{}, member, callback)
		ctx := t.Context()
		b, err := c.Client().NewBatch(ctx, sdk.BatchConfig{Name: "import",
			OnSuccess: sdk.Callback(callback, "s"), OnComplete: sdk.Callback(callback, "c"), OnDeath: sdk.Callback(callback, "d")})
		if err != nil {
			t.Fatal(err)
		}
		inputs := make([]int, 200)
		for i := range inputs {
			inputs[i] = i
		}
		if _, err := sdk.SubmitBatch(ctx, c.Client(), member, inputs, sdk.InBatch(b)); err != nil {
			t.Fatal(err)
		}
		id := c.KillLeader()
		if err := b.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.KillLeader()
		status, err := b.Await(ctx)
		if err != nil || status.State != "COMPLETE" || status.Total != 200 || status.Succeeded != 199 || status.Failed != 1 || status.SuccessJob != "" {
			t.Fatalf("%v, %v", status, err)
		}
		for job, want := range map[string]string{status.CompleteJob: "complete 199 1 c", status.DeathJob: "death 1 d"} {
			o, err := callback.Attach(c.Client(), job).Await(ctx)
			got := fmt.Sprint(o.Event, " ", o.Succeeded, " ", o.Failed, " ", o.Data)
			if o.Event == "death" {
				got = fmt.Sprint(o.Event, " ", o.Failed, " ", o.Data)
			}
			if err != nil || got != want {
				t.Errorf("%s: %q, want %q (%v)", job, got, want, err)
			}
		}
		counters, err := c.Counters(ctx)
		if err != nil || counters.BatchCallbacks != 2 {
			t.Errorf("%d callbacks, %v", counters.GetBatchCallbacks(), err)
		}
		n := 0
		for j, err := range b.Jobs(ctx, sdk.Failure) {
			if n++; err != nil || j.State != "FAILURE" {
				t.Errorf("%v, %v", j, err)
			}
		}
		if n != 1 {
			t.Errorf("%d failed jobs", n)
		}
	})
}

// TestCluster_TenThousandTasksInOneCall: each is stored once and runs once.
func TestCluster_TenThousandTasksInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		task := sdk.NewTask("bulk", func(ctx context.Context, n int) (int, error) { return n, nil })
		inputs := make([]int, 10_000)
		for i := range inputs {
			inputs[i] = i
		}
		b, err := c.Client().NewBatch(t.Context(), sdk.BatchConfig{})
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := sdk.SubmitBatch(t.Context(), c.Client(), task, inputs, sdk.InBatch(b))
		if err != nil || len(jobs) != 10_000 {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 200}}, task)
		status, err := b.Await(t.Context())
		if err != nil || status.State != "SUCCESS" || status.Succeeded != 10_000 {
			t.Fatalf("%v, %v", status, err)
		}
		if got, err := jobs[9_999].Await(t.Context()); got != 9_999 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
	})
}
