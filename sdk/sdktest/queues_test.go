package sdktest_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// failover kills the leader, waits for the next, and brings the old one back.
func failover(t *testing.T, c *sdktest.Cluster) {
	t.Helper()
	id := c.KillLeader()
	c.Leader()
	if err := c.Restart(id); err != nil {
		t.Error(err)
	}
}

// TestCluster_QueueControlsSurviveAFailover: a paused queue grants nothing under any leader, a drained one
// refuses under any, and a purge goes on to its end.
func TestCluster_QueueControlsSurviveAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client, ctx := c.Client(), t.Context()
		var ran atomic.Int64
		task := sdk.NewTask("count", func(context.Context, int) (int, error) { return int(ran.Add(1)), nil }, sdk.Queue("mail"))
		if err := client.SetQueue(ctx, "mail", sdk.QueueSettings{}); err != nil {
			t.Fatal(err)
		}
		if err := client.PauseQueue(ctx, "mail"); err != nil {
			t.Fatal(err)
		}
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"mail": 8}}, task)
		jobs, err := sdk.SubmitBatch(ctx, client, task, make([]int, 1700)) // several pieces of a purge
		if err != nil {
			t.Fatal(err)
		}
		failover(t, c)
		time.Sleep(5 * time.Second)
		if n := ran.Load(); n != 0 {
			t.Errorf("%d tasks of a paused queue ran", n)
		}

		purged := make(chan int, 1)
		go func() {
			n, err := client.PurgeQueue(ctx, "mail")
			if err != nil {
				t.Error(err)
			}
			purged <- n
		}()
		synctest.Wait() // its first piece may be on its way
		failover(t, c)
		if n := <-purged; n != len(jobs) {
			t.Errorf("the purge canceled %d of %d jobs", n, len(jobs))
		}
		if _, err := jobs[1234].Await(ctx); !errors.Is(err, sdk.ErrJobCanceled) || err.(*sdk.JobError).Message != "QUEUE_PURGED" {
			t.Errorf("a purged job ended with %v", err)
		}

		if err := client.DrainQueue(ctx, "mail"); err != nil {
			t.Fatal(err)
		}
		failover(t, c)
		if _, err := task.Submit(ctx, client, 1); !errors.Is(err, sdk.ErrQueueDraining) {
			t.Errorf("a drained queue answered %v", err)
		}
		for _, undo := range []func(context.Context, string) error{client.UndrainQueue, client.ResumeQueue} {
			if err := undo(ctx, "mail"); err != nil {
				t.Fatal(err)
			}
		}
		job, err := task.Submit(ctx, client, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := job.Await(ctx); err != nil || ran.Load() != 1 {
			t.Errorf("after undrain and resume: %v, %d ran", err, ran.Load())
		}
		sameHashes(t, c, 3)
	})
}

// TestCluster_ABudgetIsExactOverAFailover: of many submitters, with a leader that dies in the middle, exactly as
// many get in as the budget says, and the others hear so at once, with a hint.
func TestCluster_ABudgetIsExactOverAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client, ctx := c.Client(), t.Context()
		task := sdk.Declare[int, int]("nobody", sdk.Queue("small"))
		if err := client.SetQueue(ctx, "small", sdk.QueueSettings{Budget: &sdk.Budget{Jobs: 50}}); err != nil {
			t.Fatal(err)
		}
		var in, refused atomic.Int64
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for n := range 10 {
					time.Sleep(time.Duration(20*i+n) * time.Millisecond)
					var api *sdk.APIError
					switch _, err := task.Submit(ctx, client, n); {
					case err == nil:
						in.Add(1)
					case errors.Is(err, sdk.ErrOverBudget) && errors.As(err, &api) && api.RetryAfter > 0:
						refused.Add(1)
					default:
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		failover(t, c)
		all.Wait()
		if in.Load() != 50 || refused.Load() != 150 {
			t.Errorf("%d jobs came in and %d were refused, of 200 with a budget of 50", in.Load(), refused.Load())
		}
		q, err := client.Queue(ctx, "small")
		if err != nil || q.GetJobs().GetUnfinished().GetJobs() != 50 {
			t.Errorf("the queue says %v, %v", q, err)
		}
		sameHashes(t, c, 3)
	})
}

// TestCluster_RetentionByCountKeepsTheYoungest, over a failover, without anything that happens to wake the leader.
func TestCluster_RetentionByCountKeepsTheYoungest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client, ctx := c.Client(), t.Context()
		task := sdk.NewTask("echo", func(_ context.Context, n int) (int, error) { return n, nil })
		c.StartWorker(sdk.WorkerConfig{}, task)
		var last *sdk.Job[int]
		for n := range 30 {
			job, err := task.Submit(ctx, client, n)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := job.Await(ctx); err != nil {
				t.Fatal(err)
			}
			last = job
			time.Sleep(2 * time.Millisecond) // of the same millisecond the order is that of the ids
		}
		if err := client.SetQueue(ctx, "default", sdk.QueueSettings{Success: &sdk.Retention{Count: 5}}); err != nil {
			t.Fatal(err)
		}
		failover(t, c)
		time.Sleep(time.Second)
		kept := 0
		for status, err := range client.List(ctx, sdk.JobFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			kept++
			_ = status
		}
		if kept != 5 {
			t.Errorf("%d jobs are kept of a bound of 5", kept)
		}
		if n, err := last.Await(ctx); err != nil || n != 29 {
			t.Errorf("the youngest has %d, %v", n, err)
		}
		sameHashes(t, c, 3)
	})
}
