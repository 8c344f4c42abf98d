package sdktest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// eachMinute schedules a task for every minute, and returns its jobs by tick.
func eachMinute(t *testing.T, c *sdktest.Cluster, task *sdk.Task[int, int]) (jobs func() map[time.Time][]*sdk.JobStatus) {
	t.Helper()
	if err := task.Schedule(t.Context(), c.Client(), 1, sdk.Schedule{Name: "minute", Cron: "* * * * *"}); err != nil {
		t.Fatal(err)
	}
	return func() map[time.Time][]*sdk.JobStatus {
		all := map[time.Time][]*sdk.JobStatus{}
		for job, err := range c.Client().List(t.Context(), sdk.JobFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			at := time.UnixMilli(job.TickMs)
			all[at] = append(all[at], job)
		}
		return all
	}
}

// pastMinute sleeps until so long after the next full minute, and returns that minute.
func pastMinute(d time.Duration) time.Time {
	next := time.Now().Truncate(time.Minute).Add(time.Minute)
	time.Sleep(time.Until(next.Add(d)))
	return next
}

// 9: cancel and purge the job of a tick: the schedule is no job, so it ticks on, once a minute.
func scheduleTicksOn(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	task := sdk.NewTask("tick", func(context.Context, int) (int, error) { return 0, nil })
	jobs := eachMinute(t, c, task) // and no worker: the job waits
	first := pastMinute(time.Second)
	id := jobs()[first][0].Id
	if err := errors.Join(c.Client().Cancel(t.Context(), id, "lost"), c.Client().Purge(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	second := pastMinute(time.Second)
	if all := jobs(); len(all) != 1 || len(all[second]) != 1 {
		t.Errorf("after the first tick's job is gone there are %v", all)
	}
}

// 10: the leader dies a moment before a tick.
func tickSurvivesTheLeader(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	task := sdk.NewTask("tick", func(context.Context, int) (int, error) { return 0, nil })
	c.StartWorker(sdk.WorkerConfig{}, task)
	jobs := eachMinute(t, c, task)
	tick := pastMinute(-8 * time.Millisecond)
	c.KillLeader()
	time.Sleep(20 * time.Second)
	if all := jobs(); len(all) != 1 || len(all[tick]) != 1 || all[tick][0].State != string(sdk.Success) {
		t.Errorf("of the tick at %v there are %v", tick, all)
	}
}

// 11: leadership moves at every tick.
func oneJobATick(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	task := sdk.NewTask("tick", func(context.Context, int) (int, error) { return 0, nil })
	c.StartWorker(sdk.WorkerConfig{}, task)
	jobs := eachMinute(t, c, task)
	const n = 5
	for range n {
		pastMinute(0)
		id := c.Leader()
		c.Partition(id)
		time.Sleep(5 * time.Second)
		c.Heal()
	}
	time.Sleep(10 * time.Second)
	all := jobs()
	for tick, of := range all {
		if len(of) != 1 {
			t.Errorf("the tick at %v has %d jobs", tick, len(of))
		}
	}
	if len(all) != n {
		t.Errorf("%d of %d ticks have a job", len(all), n)
	}
}

// 12: the job of a tick dies for good.
func deadTickHoldsUpNobody(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	task := sdk.NewTask("tick", func(context.Context, int) (int, error) { return 0, errors.New("boom") }, sdk.NoRetry())
	c.StartWorker(sdk.WorkerConfig{}, task)
	jobs := eachMinute(t, c, task)
	for range 3 {
		pastMinute(time.Second)
	}
	all := jobs()
	for tick, of := range all {
		if of[0].State != string(sdk.Failure) {
			t.Errorf("the job of %v is %s", tick, of[0].State)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d ticks of 3 have a job", len(all))
	}
}
