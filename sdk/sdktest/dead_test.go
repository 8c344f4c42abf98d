package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestRedrive_SurvivesAFailover: forty dead jobs are retried ten in a second; the leader is killed in the
// middle. Each runs again exactly once, and never more than ten in a second.
func TestRedrive_SurvivesAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		var healed atomic.Bool
		var runs atomic.Int32
		task := sdk.NewTask("charge", func(_ context.Context, n int) (int, error) {
			if !healed.Load() {
				return 0, sdk.Permanent(fmt.Errorf("order %d: connection refused", n))
			}
			runs.Add(1)
			return n, nil
		})
		c.StartWorker(sdk.WorkerConfig{}, task)
		var jobs []*sdk.Job[int]
		for n := range 40 {
			job, err := task.Submit(t.Context(), c.Client(), n)
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, job)
		}
		for _, job := range jobs {
			if _, err := job.Await(t.Context()); !errors.Is(err, sdk.ErrJobFailed) {
				t.Fatal(err)
			}
		}
		groups, _, err := c.Client().DeadGroups(t.Context(), sdk.DeadFilter{})
		if err != nil || len(groups) != 1 || groups[0].Jobs != 40 {
			t.Fatalf("groups %v, %v", groups, err)
		}
		healed.Store(true)
		began := time.Now()
		id, err := c.Client().StartRedrive(t.Context(), sdk.RedriveConfig{Filter: sdk.DeadFilter{Fingerprint: groups[0].Fingerprint}, Jobs: 10, Period: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if n := runs.Load(); n < 10 || n > 20 {
			t.Errorf("%d jobs in 1.5 s at ten in a second", n)
		}
		c.KillLeader()
		for {
			all, err := c.Client().Redrives(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			if all[0].State != "RUNNING" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		for n, job := range jobs {
			if got, err := job.Await(t.Context()); err != nil || got != n {
				t.Errorf("job %d: %d, %v", n, got, err)
			}
		}
		if d := time.Since(began); d < 3900*time.Millisecond {
			t.Errorf("forty jobs at ten in a second took %v", d)
		}
		time.Sleep(5 * time.Second)
		all, err := c.Client().Redrives(t.Context())
		if err != nil || len(all) != 1 || all[0].Id != id || all[0].State != "DONE" || all[0].Done != 40 || runs.Load() != 40 {
			t.Errorf("redrives %v, %v; %d runs", all, err, runs.Load())
		}
	})
}

// TestTimeLimits_OfAttempts: an attempt that hangs, and one that is silent, end by the cluster, and the next
// one does the work.
func TestTimeLimits_OfAttempts(t *testing.T) {
	for name, opt := range map[string]sdk.AnyOption{"TIMEOUT": sdk.HardTimeout(5 * time.Second), "SILENT": sdk.HeartbeatTimeout(5 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sdktest.NewCluster(t, 3)
				var tries atomic.Int32
				task := sdk.NewTask("hang", func(ctx context.Context, n int) (int, error) {
					if tries.Add(1) > 1 {
						for range 20 { // longer than the limit of signs of life, which it gives
							sdk.Heartbeat(ctx)
							if name == "SILENT" {
								time.Sleep(time.Second)
							}
						}
						return n, nil
					}
					<-ctx.Done()
					return 0, ctx.Err()
				}, sdk.Retry(sdk.RetryPolicy{First: time.Second}))
				c.StartWorker(sdk.WorkerConfig{}, task)
				job, err := task.Submit(t.Context(), c.Client(), 7, opt)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				c.KillLeader()
				if got, err := job.Await(t.Context()); err != nil || got != 7 {
					t.Fatal(got, err)
				}
				var ends []string
				for a, err := range c.Client().Attempts(t.Context(), job.ID(), sdk.AttemptFilter{}) {
					if err != nil {
						t.Fatal(err)
					}
					ends = append(ends, a.State)
				}
				if got := strings.Join(ends, " "); got != name+" SUCCESS" {
					t.Errorf("attempts ended %s", got)
				}
			})
		})
	}
}

// TestSubmission_LimitsAndDiscards: a job nobody starts expires, one out of time fails, a discarded one ends quietly.
func TestSubmission_LimitsAndDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		task := sdk.NewTask("never", func(context.Context, int) (int, error) { return 0, nil })
		job, err := task.Submit(t.Context(), c.Client(), 1, sdk.StartWithin(3*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		var failed *sdk.JobError
		if _, err := job.Await(t.Context()); !errors.As(err, &failed) || failed.State != sdk.Canceled {
			t.Errorf("a job nobody started: %v", err)
		}
		if s, err := job.Status(t.Context()); err != nil || !strings.HasPrefix(s.CancelReason, "EXPIRED") || s.Steps[0].State != "EXPIRED" {
			t.Errorf("status %v, %v", s, err)
		}
		job, err = task.Submit(t.Context(), c.Client(), 1, sdk.JobTimeout(3*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := job.Await(t.Context()); !errors.As(err, &failed) || failed.Type != "fanfold.Timeout" {
			t.Errorf("a job out of time: %v", err)
		}
		odd := sdk.NewTask("odd", func(context.Context, int) (int, error) { return 0, sdk.Discard(errors.New("no such order")) })
		c.StartWorker(sdk.WorkerConfig{}, odd)
		job, err = odd.Submit(t.Context(), c.Client(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := job.Await(t.Context()); !errors.Is(err, sdk.ErrJobCanceled) {
			t.Errorf("a discarded job: %v", err)
		}
		dead := 0
		for range c.Client().Dead(t.Context(), sdk.DeadFilter{}) {
			dead++
		}
		if dead != 1 {
			t.Errorf("%d jobs are dead", dead)
		}
	})
}
