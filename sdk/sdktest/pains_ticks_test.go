package sdktest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// Rows about schedules that tick by the second: every tick is counted. A tick is named by its time, and so
// are the starts in their journals.

// ticking is a task that notes for which tick it runs.
func ticking(log *journal) *sdk.Task[int, int] {
	return sdk.NewTask("ticking", func(ctx context.Context, _ int) (int, error) {
		log.note(ctx, sdk.Info(ctx).Tick.UTC().Format(time.TimeOnly))
		return 0, nil
	})
}

// ticks are the names of n ticks.
func ticks(start time.Time, every time.Duration, n int) (names []string) {
	for i := range n {
		names = append(names, start.Add(time.Duration(i)*every).UTC().Format(time.TimeOnly))
	}
	return names
}

// soon is a full second after now.
func soon() time.Time { return time.Now().Truncate(time.Second).Add(5 * time.Second) }

// sameTicks fails the row unless each tick has one job and one start, in whatever order.
func sameTicks(t *testing.T, c *sdktest.Cluster, log *journal, want []string) {
	t.Helper()
	got := map[string]int{}
	for _, tick := range log.order() {
		got[tick]++
	}
	once := map[string]int{}
	for _, tick := range want {
		once[tick] = 1
	}
	if diff := cmp.Diff(once, got); diff != "" {
		t.Errorf("starts by tick (-want +got):\n%s", diff)
	}
	if n := len(listJobs(t, c)); n != len(want) {
		t.Errorf("%d jobs for %d ticks", n, len(want))
	}
}

func listJobs(t *testing.T, c *sdktest.Cluster) (ids []string) {
	t.Helper()
	for job, err := range c.Client().List(t.Context(), sdk.JobFilter{Workflow: "ticking"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.Id)
	}
	return ids
}

// Pain 9: elsewhere a schedule is its next delayed job, and stops or multiplies with it.
func scheduleOutlivesItsJobs(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	var log journal
	task := ticking(&log)
	start := soon()
	set := func() {
		t.Helper()
		err := task.Schedule(t.Context(), c.Client(), 0, sdk.Schedule{
			Name: "repeats", Every: 10 * time.Second, Start: start, End: start.Add(2 * time.Minute), Overlap: sdk.OverlapAllow,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set()
	time.Sleep(time.Until(start.Add(25 * time.Second))) // three have fired, and nobody runs them
	canceled := listJobs(t, c)
	if len(canceled) != 3 {
		t.Fatalf("%d jobs for three ticks", len(canceled))
	}
	for _, id := range canceled { // the next one among them, as it were
		if err := c.Client().Cancel(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
		if err := c.Client().Purge(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 { // five deploys
		set()
	}
	time.Sleep(30 * time.Second)
	c.StartWorker(sdk.WorkerConfig{}, task)
	time.Sleep(2 * time.Minute)
	sameTicks(t, c, &log, ticks(start, 10*time.Second, 12)[3:])
}

// Pain 10: elsewhere the tick in the gap between two leaders is never fired.
func ticksSurviveElections(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var log journal
	task := ticking(&log)
	c.StartWorker(sdk.WorkerConfig{}, task)
	start := soon()
	err := task.Schedule(t.Context(), c.Client(), 0, sdk.Schedule{
		Name: "each-second", Every: time.Second, Start: start, End: start.Add(40 * time.Second),
		Missed: sdk.MissedFireAll, Overlap: sdk.OverlapAllow,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // around a tick: just before, at, just after
		time.Sleep(time.Until(start.Add(time.Duration(3+9*i)*time.Second + time.Duration(i-2)*time.Millisecond)))
		id := c.KillLeader()
		c.Leader()
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Until(start.Add(time.Minute)))
	sameTicks(t, c, &log, ticks(start, time.Second, 40))
}

// Pain 11: elsewhere two schedulers fire the same tick.
func oneJobForATick(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	var log journal
	task := ticking(&log)
	c.StartWorker(sdk.WorkerConfig{}, task)
	start := soon()
	var programs sync.WaitGroup
	for i := range 4 { // four instances of a program that start at once, each with the schedule in its text
		programs.Go(func() {
			err := task.Schedule(t.Context(), c.NewClient(fmt.Sprintf("program%d", i)), 0, sdk.Schedule{
				Name: "shared", Cron: "* * * * * *", Start: start, End: start.Add(30 * time.Second), Overlap: sdk.OverlapAllow, Missed: sdk.MissedFireAll,
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	programs.Wait()
	time.Sleep(time.Until(start.Add(5 * time.Second)))
	c.Partition(c.Leader()) // for a moment there are two that think they lead
	time.Sleep(10 * time.Second)
	c.Heal()
	time.Sleep(time.Until(start.Add(time.Minute)))
	sameTicks(t, c, &log, ticks(start, time.Second, 30))
}
