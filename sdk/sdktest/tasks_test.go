package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// TestSave_SurvivesWorkerAndLeader: what Save and Once have acknowledged is there for the next attempt on
// another worker, after the leader that acknowledged it and the worker that asked for it are gone.
func TestSave_SurvivesWorkerAndLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		var attempts, charges atomic.Int32
		saved := make(chan bool, 1)
		task := sdk.NewTask("long", func(ctx context.Context, n int) (string, error) {
			first := attempts.Add(1) == 1
			receipt, err := sdk.Once(ctx, "charge", func(context.Context) (string, error) {
				return fmt.Sprintf("receipt %d", charges.Add(1)), nil
			})
			if err != nil {
				return "", err
			}
			var at int
			has, err := sdk.Saved(ctx, &at)
			if err != nil {
				return "", err
			}
			if !first {
				return fmt.Sprintf("%s, from %d (%v)", receipt, at, has), nil
			}
			for i := 1; i <= n; i++ {
				if err := sdk.Save(ctx, i); err != nil {
					t.Error(err)
				}
			}
			saved <- has
			<-ctx.Done()
			return "", context.Cause(ctx)
		})
		w := c.StartWorker(sdk.WorkerConfig{}, task)
		job, err := task.Submit(t.Context(), c.Client(), 5)
		if err != nil {
			t.Fatal(err)
		}
		if <-saved {
			t.Error("the first attempt found a checkpoint")
		}
		w.Isolate()
		c.KillLeader()
		c.StartWorker(sdk.WorkerConfig{}, task)
		got, err := job.Await(t.Context())
		if want := "receipt 1, from 5 (true)"; err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
		if left, err := c.Client().Saved(t.Context(), job.ID(), "", 0); err != nil || len(left) != 0 {
			t.Errorf("a task that is done keeps %v, %v", left, err)
		}
	})
}

// TestSave_OfAnAttemptThatIsOverIsRefused: a worker that was cut off and comes back cannot overwrite what
// its successor has saved.
func TestSave_OfAnAttemptThatIsOverIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		var attempts atomic.Int32
		gate, late, done := make(chan struct{}), make(chan error, 1), make(chan struct{})
		task := sdk.NewTask("long", func(ctx context.Context, n int) (int, error) {
			if attempts.Add(1) == 1 {
				<-gate
				late <- sdk.Save(context.WithoutCancel(ctx), "late")
				return 0, nil
			}
			if err := sdk.Save(ctx, "mine"); err != nil {
				t.Error(err)
			}
			<-done
			var s string
			_, err := sdk.Saved(ctx, &s)
			return len(s), err
		})
		w := c.StartWorker(sdk.WorkerConfig{}, task)
		job, err := task.Submit(t.Context(), c.Client(), 5)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.Isolate()
		c.StartWorker(sdk.WorkerConfig{}, task)
		time.Sleep(time.Minute)
		w.Rejoin()
		close(gate)
		if err := <-late; !errors.Is(err, sdk.ErrLeaseLost) {
			t.Errorf("the late save: %v", err)
		}
		all, err := c.Client().Saved(t.Context(), job.ID(), "", 0)
		if err != nil || len(all) != 1 || string(all[0].Data) != `"mine"` {
			t.Errorf("saved: %v, %v", all, err)
		}
		close(done)
		if _, err := job.Await(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestOnce_CallersAtOnceShareOneRun also checks that names have an order, bounds and errors.
func TestOnce_CallersAtOnceShareOneRun(t *testing.T) {
	var runs, fails atomic.Int32
	task := sdk.NewTask("once", func(ctx context.Context, n int) (int, error) {
		errs := make(chan error, 2*n)
		for i := range 2 * n {
			go func() {
				v, err := sdk.Once(ctx, fmt.Sprint("step", i/2), func(context.Context) (int, error) {
					runs.Add(1)
					time.Sleep(time.Second)
					return i / 2, nil
				})
				if err == nil && v != i/2 {
					err = fmt.Errorf("step %d gave %d", i/2, v)
				}
				errs <- err
			}()
		}
		for range 2 * n {
			if err := <-errs; err != nil {
				return 0, err
			}
		}
		if _, err := sdk.Once(ctx, "", func(context.Context) (int, error) { return 0, nil }); !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("a sub-step without a name: %v", err)
		}
		if err := sdk.Save(ctx, strings.Repeat("x", 300<<10)); !errors.Is(err, sdk.ErrTooLarge) {
			t.Errorf("a large checkpoint: %v", err)
		}
		return sdk.Once(ctx, "flaky", func(context.Context) (int, error) {
			if fails.Add(1) < 3 {
				return 0, errors.New("flaky")
			}
			return 7, nil
		})
	})
	if got := sdktest.Run(t, task, 5); got != 7 {
		t.Errorf("got %d", got)
	}
	if runs.Load() != 5 || fails.Load() != 3 {
		t.Errorf("%d sub-steps ran, the flaky one %d times", runs.Load(), fails.Load())
	}
}

// TestLogs_ComeWithTheTask: lines are there when the task has ended, and follow it while it runs.
func TestLogs_ComeWithTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		task := sdk.NewTask("talk", func(ctx context.Context, n int) (int, error) {
			log := sdk.Log(ctx).With("item", n)
			log.Debug("not sent")
			log.Info("begin", "size", 3)
			time.Sleep(2 * time.Second)
			log.WithGroup("disk").Warn("nearly full", "free", "1 GB")
			return n, nil
		})
		c.StartWorker(sdk.WorkerConfig{}, task)
		job, err := task.Submit(t.Context(), c.Client(), 7)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		start := time.Now()
		for e, err := range c.Client().Logs(t.Context(), job.ID(), sdk.LogFilter{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 && time.Since(start) > 1500*time.Millisecond {
				t.Errorf("the first line came after %v", time.Since(start))
			}
			got = append(got, fmt.Sprintf("%s/%d #%d %d %s", e.Step, e.Shard, e.Attempt, e.Line.Level, e.Line.Text))
			if len(got) == 1 {
				c.KillLeader()
			}
		}
		want := "talk/0 #1 0 begin item=7 size=3|talk/0 #1 4 nearly full item=7 disk.free=\"1 GB\""
		if strings.Join(got, "|") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
		}
	})
}

// connects counts a worker's connections by what it logs.
type connects struct {
	mu sync.Mutex
	n  int
	at time.Time
}

func (c *connects) Enabled(context.Context, slog.Level) bool { return true }
func (c *connects) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *connects) WithGroup(string) slog.Handler            { return c }
func (c *connects) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "worker is connected" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n++
		c.at = time.Now()
	}
	return nil
}

func (c *connects) last() (int, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.at
}

// TestCancel_ReachesTheWorkerOverAFailover: the leader that acknowledged the cancel could tell nobody; the
// worker hears of it, with the reason, from the next one.
func TestCancel_ReachesTheWorkerOverAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		started := make(chan struct{})
		causes := make(chan error, 1)
		task := sdk.NewTask("endless", func(ctx context.Context, n int) (int, error) {
			close(started)
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return 0, context.Cause(ctx)
		})
		connected := &connects{}
		w := c.StartWorker(sdk.WorkerConfig{Logger: slog.New(connected)}, task)
		job, err := task.Submit(t.Context(), c.Client(), 7)
		if err != nil {
			t.Fatal(err)
		}
		<-started
		leader := c.Leader()
		c.Cut(w.Host, leader)
		if err := job.Cancel(t.Context(), "wrong input"); err != nil {
			t.Fatal(err)
		}
		select {
		case cause := <-causes:
			t.Fatalf("the worker heard of it over a cut link: %v", cause)
		default:
		}
		c.Kill(leader) // over a cut link its end is not heard either: the worker has to find out by itself
		cause := <-causes
		if !errors.Is(cause, sdk.ErrJobCanceled) || !strings.Contains(cause.Error(), "wrong input") {
			t.Errorf("cause %v", cause)
		}
		if n, last := connected.last(); n != 2 || time.Since(last) > time.Second {
			t.Errorf("the worker heard of it %v after its connection number %d", time.Since(last), n)
		}
		_, err = job.Await(t.Context())
		if !errors.Is(err, sdk.ErrJobCanceled) || !strings.Contains(err.Error(), "wrong input") {
			t.Errorf("await: %v", err)
		}
	})
}

// TestCancel_IsHeardWithinASecond by a running attempt, when nothing is wrong.
func TestCancel_IsHeardWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		causes := make(chan error, 1)
		task := sdk.NewTask("endless", func(ctx context.Context, n int) (int, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return 0, context.Cause(ctx)
		})
		c.StartWorker(sdk.WorkerConfig{}, task)
		job, err := task.Submit(t.Context(), c.Client(), 7)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := job.Cancel(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if cause := <-causes; !errors.Is(cause, sdk.ErrJobCanceled) || time.Since(start) > time.Second {
			t.Errorf("cause %v after %v", cause, time.Since(start))
		}
	})
}

// TestResult_ById is what a program sees that knows an id and no type.
func TestResult_ById(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		gate := make(chan struct{})
		task := sdk.NewTask("wait", func(ctx context.Context, n int) (string, error) {
			<-gate
			if n < 0 {
				return "", sdk.Permanent(errors.New("negative"))
			}
			return strings.Repeat("x", n), nil
		})
		c.StartWorker(sdk.WorkerConfig{}, task)
		var ids []string
		for _, n := range []int{3, 300 << 10, -1} {
			job, err := task.Submit(t.Context(), c.Client(), n)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, job.ID())
		}
		if _, err := c.Client().Result(t.Context(), ids[0]); !errors.Is(err, sdk.ErrNotEnded) {
			t.Errorf("a running job: %v", err)
		}
		if _, err := c.Client().Result(t.Context(), sdk.NewJobID()); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("an unknown job: %v", err)
		}
		close(gate)
		synctest.Wait()
		time.Sleep(time.Second)
		for i, size := range []int{5, 300<<10 + 2} {
			if doc, err := c.Client().Result(t.Context(), ids[i]); err != nil || len(doc) != size {
				t.Errorf("result %d has %d bytes, %v", i, len(doc), err)
			}
		}
		if _, err := c.Client().Result(t.Context(), ids[2]); !errors.Is(err, sdk.ErrJobFailed) {
			t.Errorf("a failed job: %v", err)
		}
	})
}
