package sdktest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestCluster_AWorkflowRunsByTheClock: each tick of a schedule runs all steps of the workflow once, told their tick, and
// goes on under the next leader; options of the schedule's submission go with the jobs.
func TestCluster_AWorkflowRunsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := sdktest.NewCluster(t, 3), t.Context()
		ticks := make(chan time.Time, 100)
		load := sdk.NewTask("load", func(_ context.Context, n int) (int, error) { return n + 1, nil })
		note := sdk.NewTask("note", func(ctx context.Context, n int) (int, error) {
			if n != 8 || sdk.Headers(ctx)["by"] != "clock" || sdk.Info(ctx).Schedule != "minutely" {
				t.Errorf("input %d, headers %v, schedule %q", n, sdk.Headers(ctx), sdk.Info(ctx).Schedule)
			}
			ticks <- sdk.Info(ctx).Tick
			return n, nil
		})
		flow := sdk.NewWorkflow("load-and-note", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Then(n, load), note) })
		c.StartWorker(sdk.WorkerConfig{}, flow)
		begin := time.Now().Truncate(time.Minute).Add(time.Minute)
		err := flow.Schedule(ctx, c.Client(), 7, sdk.Schedule{Name: "minutely", Cron: "* * * * *", End: begin.Add(4 * time.Minute)}, sdk.Header("by", "clock"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Second)
		failover(t, c)
		time.Sleep(5 * time.Minute)
		close(ticks)
		n := 0
		for tick := range ticks {
			if want := begin.Add(time.Duration(n) * time.Minute); !tick.Equal(want) {
				t.Errorf("tick %v, want %v", tick, want)
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d runs of 4 ticks", n)
		}
	})
}

// TestCluster_RunInWaitsForItsTime, also when the leader changes meanwhile.
func TestCluster_RunInWaitsForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ctx := sdktest.NewCluster(t, 3), t.Context()
		clock := sdk.NewTask("clock", func(context.Context, int) (time.Time, error) { return time.Now(), nil })
		c.StartWorker(sdk.WorkerConfig{}, clock)
		begin := time.Now()
		job, err := clock.Submit(ctx, c.Client(), 0, sdk.RunIn(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		failover(t, c)
		ran, err := job.Await(ctx)
		if took := ran.Sub(begin); err != nil || took < time.Minute || took > 62*time.Second {
			t.Errorf("it ran after %v: %v", took, err)
		}
		if _, err := clock.Submit(ctx, c.Client(), 0, sdk.RunIn(-time.Second)); err == nil {
			t.Error("a negative time is taken")
		}
	})
}
