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

// slowSquare takes a second, so that there is a middle in which something can happen.
var slowSquare = sdk.NewTask("slow", func(ctx context.Context, n int) (int, error) {
	select {
	case <-time.After(time.Second):
		return n * n, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
})

var slowSquares = sdk.NewWorkflow("slow", func(n sdk.Ref[int]) sdk.Ref[int] {
	return sdk.Fold(sdk.Each(sdk.Then(n, split), slowSquare), sum, sdk.FanIn(3))
})

// sameHashes fails the test unless n nodes have the same state.
func sameHashes(t *testing.T, c *sdktest.Cluster, n int) {
	t.Helper()
	hashes, err := c.StateHashes(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	different := map[string]bool{}
	for _, h := range hashes {
		different[h] = true
	}
	if len(hashes) != n || len(different) != 1 {
		t.Errorf("state hashes %v", hashes)
	}
}

// TestCluster_SurvivesFaultsInTheMiddleOfAJob does each fault three seconds into a job of many.
func TestCluster_SurvivesFaultsInTheMiddleOfAJob(t *testing.T) {
	faults := map[string]struct {
		do    func(t *testing.T, c *sdktest.Cluster, w *sdktest.Worker)
		nodes int // that live at the end
	}{
		"leader killed":      {func(_ *testing.T, c *sdktest.Cluster, _ *sdktest.Worker) { c.KillLeader() }, 2},
		"leader partitioned": {func(_ *testing.T, c *sdktest.Cluster, _ *sdktest.Worker) { c.Partition(c.Leader()) }, 3},
		"leader killed and restarted, then the next": {func(t *testing.T, c *sdktest.Cluster, _ *sdktest.Worker) {
			for range 2 {
				id := c.KillLeader()
				c.Leader()
				if err := c.Restart(id); err != nil {
					t.Error(err)
				}
				time.Sleep(3 * time.Second)
			}
		}, 3},
		"worker isolated": {func(_ *testing.T, _ *sdktest.Cluster, w *sdktest.Worker) { w.Isolate() }, 3},
		"worker stopped":  {func(_ *testing.T, _ *sdktest.Cluster, w *sdktest.Worker) { w.Stop() }, 3},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sdktest.NewCluster(t, 3)
				w := c.StartWorker(sdk.WorkerConfig{}, slowSquares)
				c.StartWorker(sdk.WorkerConfig{}, slowSquares)
				job, err := slowSquares.Submit(t.Context(), c.Client(), 200)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				fault.do(t, c, w)
				if got, err := job.Await(t.Context()); err != nil || got != 2686700 {
					t.Errorf("got %d, %v", got, err)
				}
				c.Heal()
				time.Sleep(10 * time.Second)
				sameHashes(t, c, fault.nodes)
			})
		})
	}
}

func TestCluster_LateResultIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		gate := make(chan int)
		var runs atomic.Int32
		causes := make(chan error, 1)
		task := sdk.NewTask("wait", func(ctx context.Context, n int) (int, error) {
			if runs.Add(1) == 1 {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return <-gate, nil
			}
			return n, nil
		})
		w := c.StartWorker(sdk.WorkerConfig{}, task)
		job, err := task.Submit(t.Context(), c.Client(), 7)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.Isolate()
		c.StartWorker(sdk.WorkerConfig{}, task)
		if cause := <-causes; !errors.Is(cause, sdk.ErrLeaseLost) {
			t.Errorf("cause %v", cause)
		}
		if got, err := job.Await(t.Context()); got != 7 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		w.Rejoin()
		gate <- 8
		time.Sleep(5 * time.Second)
		if got, err := job.Await(t.Context()); got != 7 || err != nil {
			t.Errorf("after the late result: got %d, %v", got, err)
		}
		counters, err := c.Counters(t.Context())
		if err != nil || counters.Stale != 1 || counters.Crashes != 1 || counters.Grants != 2 || counters.Completions != 1 {
			t.Errorf("counters %v, %v", counters, err)
		}
	})
}
