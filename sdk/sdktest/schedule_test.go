package sdktest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestCluster_ATickMakesOneJobOverFailovers kills the leader again and again within a moment of a tick, and
// sometimes a second node, so that for seconds there is no majority and ticks are missed. Two schedules whose policies leave nothing out must have exactly one job for each tick, and none else,
// and each task was told its tick (law 8).
func TestCluster_ATickMakesOneJobOverFailovers(t *testing.T) {
	seed := *seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var mu sync.Mutex
		told := map[string]map[string]int{} // schedule -> tick and job -> attempts
		tick := sdk.NewTask("tick", func(ctx context.Context, _ int) (int, error) {
			info := sdk.Info(ctx)
			mu.Lock()
			defer mu.Unlock()
			if told[info.Schedule] == nil {
				told[info.Schedule] = map[string]int{}
			}
			told[info.Schedule][fmt.Sprint(info.Tick.UnixMilli(), " ", info.Job)]++
			return 0, nil
		})
		c := sdktest.NewCluster(t, 3)
		c.StartWorker(sdk.WorkerConfig{}, tick)
		begin := time.Now().Truncate(time.Minute).Add(time.Minute)
		end := begin.Add(3 * time.Minute)
		all := sdk.Schedule{Missed: sdk.MissedFireAll, MissedMax: 1000, Overlap: sdk.OverlapAllow, Start: begin, End: end}
		byEvery, byCron := all, all
		byEvery.Name, byEvery.Every = "every", time.Second
		byCron.Name, byCron.Cron, byCron.Zone = "cron", "*/3 * * * * *", "Asia/Kathmandu"
		for _, s := range []sdk.Schedule{byEvery, byCron} {
			if err := tick.Schedule(t.Context(), c.Client(), 1, s); err != nil {
				t.Fatal(err)
			}
		}
		for kills := 0; time.Now().Before(end.Add(10 * time.Second)); kills++ {
			// To the next tick, and a little before or after it.
			now := time.Now()
			time.Sleep(now.Truncate(time.Second).Add(2*time.Second - 10*time.Millisecond).Sub(now))
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			dead := []string{c.KillLeader()}
			if rng.IntN(2) == 0 {
				for _, id := range c.Nodes() {
					if id != dead[0] {
						c.Kill(id)
						dead = append(dead, id)
						break
					}
				}
			}
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
			for _, id := range dead {
				if err := c.Restart(id); err != nil {
					t.Error(err)
					return
				}
			}
			c.Leader()
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
		}
		time.Sleep(30 * time.Second)

		want := map[string][]int64{}
		for at := begin; at.Before(end); at = at.Add(time.Second) {
			want["every"] = append(want["every"], at.UnixMilli())
			if at.Second()%3 == 0 {
				want["cron"] = append(want["cron"], at.UnixMilli())
			}
		}
		got := map[string][]int64{}
		for job, err := range c.Client().List(t.Context(), sdk.JobFilter{}) {
			if err != nil {
				t.Error(err)
				return
			}
			if job.State != string(sdk.Success) {
				t.Errorf("the job of tick %d is %s", job.TickMs, job.State)
			}
			got[job.Schedule] = append(got[job.Schedule], job.TickMs)
		}
		for name := range got {
			slices.Sort(got[name])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ticks with a job (-want +got):\n%s", diff)
		}
		mu.Lock()
		for name, ticks := range told {
			if len(ticks) != len(want[name]) {
				t.Errorf("%s: tasks of %d ticks have run, want %d", name, len(ticks), len(want[name]))
			}
		}
		mu.Unlock()
		status, err := c.Client().GetSchedule(t.Context(), "every")
		if err != nil || status.Fired != uint64(len(want["every"])) || status.NextTickMs != 0 {
			t.Errorf("the schedule says %v, %v", status, err)
		}
		sameHashes(t, c, 3)
	})
}

// TestCluster_ScheduleVerbs goes through all calls once, in virtual time.
func TestCluster_ScheduleVerbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := sdk.NewTask("tick", func(ctx context.Context, _ int) (string, error) {
			return sdk.Info(ctx).Tick.UTC().Format(time.DateTime), nil
		})
		c := sdktest.NewCluster(t, 1)
		c.StartWorker(sdk.WorkerConfig{}, task)
		ctx, client := t.Context(), c.Client()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(task.Schedule(ctx, client, 1, sdk.Schedule{Name: "daily", Cron: "@daily"}))
		check(client.PauseSchedule(ctx, "daily", "for the test"))
		check(task.Schedule(ctx, client, 1, sdk.Schedule{Name: "daily", Cron: "0 6 * * *", Zone: "Europe/Berlin"}))
		s, err := client.GetSchedule(ctx, "daily")
		check(err)
		if !s.Schedule.Paused || s.Note != "for the test" || s.Schedule.Zone != "Europe/Berlin" || s.NextTickMs != 0 {
			t.Errorf("%v", s)
		}
		check(client.ResumeSchedule(ctx, "daily"))
		ticks, err := client.PreviewSchedule(ctx, sdk.Schedule{Name: "daily"}, time.Time{}, 3)
		check(err)
		if len(ticks) != 3 || ticks[0].Tick.Format(time.TimeOnly) != "06:00:00" || ticks[2].Tick.Sub(ticks[0].Tick) != 48*time.Hour {
			t.Errorf("preview %v", ticks)
		}
		at := time.Date(2020, 2, 2, 2, 2, 2, 0, time.UTC)
		id, err := client.TriggerSchedule(ctx, "daily", at)
		check(err)
		result, err := task.Attach(client, id).Await(ctx)
		check(err)
		if result != "2020-02-02 02:02:02" {
			t.Errorf("the task was told %s", result)
		}
		for want := range 2 {
			done, err := client.BackfillSchedule(ctx, "daily", time.Now().Add(-240*time.Hour), time.Now())
			check(err)
			if done.Created+done.Existing != 10 || want == 1 && done.Created > 0 {
				t.Errorf("backfill %d: %+v", want, done)
			}
		}
		names := 0
		for s, err := range client.Schedules(ctx) {
			check(err)
			names++
			if s.Fired != 0 || s.Workflow != "tick" || len(s.Schedule.Graph) > 0 {
				t.Errorf("%v", s)
			}
		}
		check(client.DeleteSchedule(ctx, "daily"))
		if names != 1 {
			t.Errorf("%d schedules", names)
		}
	})
}
