package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

var (
	split  = sdk.NewTask("split", func(_ context.Context, n int) ([]int, error) { return count(n), nil })
	square = sdk.NewTask("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	sum    = sdk.NewTask("sum", func(_ context.Context, ns []int) (total int, _ error) {
		for _, n := range ns {
			total += n
		}
		return total, nil
	})
)

func count(n int) (list []int) {
	for i := range n {
		list = append(list, i+1)
	}
	return list
}

var squares = sdk.NewWorkflow("squares", func(n sdk.Ref[int]) sdk.Ref[int] {
	return sdk.Fold(sdk.Each(sdk.Then(n, split), square), sum, sdk.FanIn(3))
})

func TestRun_Task(t *testing.T) {
	if got := sdktest.Run(t, square, 7); got != 49 {
		t.Errorf("got %d", got)
	}
}

func TestRun_MapReduce(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 3: 14, 100: 338350} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if got := sdktest.Run(t, squares, n); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

func TestRun_FailFirstIsRetried(t *testing.T) {
	start := time.Now()
	got := sdktest.Run(t, squares, 10, sdktest.FailFirst(square, 5, errors.New("flaky")))
	if got != 385 {
		t.Errorf("got %d", got)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("retries of 15 s took %v of real time", d)
	}
}

func TestRun_LostLeaseRunsElsewhere(t *testing.T) {
	var runs atomic.Int32
	got := sdktest.Run(t, squares, 5,
		sdktest.Fake(square, func(_ context.Context, n int) (int, error) { runs.Add(1); return n * n, nil }),
		sdktest.LoseLease(square, 2))
	if got != 55 {
		t.Errorf("got %d", got)
	}
	if n := runs.Load(); n <= 5 {
		t.Errorf("%d runs of 5 tasks: the lost one was not run again", n)
	}
}

func TestTry_FailedJob(t *testing.T) {
	_, err := sdktest.Try(t, squares, 4, sdktest.Fake(square, func(_ context.Context, n int) (int, error) {
		if n == 3 {
			return 0, sdk.Permanent(errors.New("no threes"))
		}
		return n, nil
	}))
	var job *sdk.JobError
	if !errors.Is(err, sdk.ErrJobFailed) || !errors.As(err, &job) {
		t.Fatalf("error %v", err)
	}
	want := &sdk.JobError{Job: job.Job, State: sdk.Failure, Step: "square", Shard: 2, Type: "*errors.errorString", Message: "no threes"}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestRun_DeclaredTaskNeedsAFake(t *testing.T) {
	far := sdk.Declare[int, string]("far")
	if _, err := sdktest.Try(t, far, 1, sdktest.FailFirst(far, 1, errors.New("flaky"))); err == nil || !strings.Contains(err.Error(), "give it one by Fake") {
		t.Errorf("error %v", err)
	}
	got := sdktest.Run(t, far, 1, sdktest.Workers(2),
		sdktest.Fake(far, func(ctx context.Context, n int) (string, error) {
			return fmt.Sprint("attempt ", sdk.Info(ctx).Attempt), nil
		}),
		sdktest.FailFirst(far, 2, errors.New("flaky"))) // options wrap what stands before them
	if got != "attempt 3" {
		t.Errorf("got %q", got)
	}
}

// TestRun_VirtualTime: what waits for hours takes none.
func TestRun_VirtualTime(t *testing.T) {
	nap := sdk.NewTask("nap", func(ctx context.Context, d time.Duration) (time.Duration, error) {
		start := time.Now()
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		return time.Since(start), nil
	}, sdk.Timeout(2*time.Hour), sdk.NoRetry())
	if got := sdktest.Run(t, nap, time.Hour); got != time.Hour {
		t.Errorf("slept %v", got)
	}
	if _, err := sdktest.Try(t, nap, 3*time.Hour); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("error %v", err)
	}
}
