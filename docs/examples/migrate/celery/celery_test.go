package celery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func pairs(n int) (all []Pair) {
	for i := range n {
		all = append(all, Pair{i, i})
	}
	return all
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The numbers are those of Celery's documentation for the same canvas.
func TestCanvas(t *testing.T) {
	doubles := []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}
	t.Run("chain", func(t *testing.T) { same(t, sdktest.Run(t, Chain, Pair{2, 2}), 64) })
	t.Run("group", func(t *testing.T) { same(t, sdktest.Run(t, Group, pairs(12)), doubles) })
	t.Run("group of one stays a list", func(t *testing.T) { same(t, sdktest.Run(t, Group, pairs(1)), []int{0}) })
	t.Run("both", func(t *testing.T) {
		same(t, sdktest.Run(t, Both, Pair{3, 4}), sdk.Pair[int, int]{First: 7, Second: 12})
	})
	t.Run("chord", func(t *testing.T) { same(t, sdktest.Run(t, Chord, pairs(100)), 9900) })
	t.Run("chord of none", func(t *testing.T) { same(t, sdktest.Run(t, Chord, []Pair{}), 0) })
	t.Run("tree", func(t *testing.T) { same(t, sdktest.Run(t, Tree, pairs(100)), 9900) })
	t.Run("chunks", func(t *testing.T) { same(t, sdktest.Run(t, Chunks, pairs(12)), doubles) })
	t.Run("settled", func(t *testing.T) {
		got := sdktest.Run(t, Settled, pairs(4), sdktest.Fake(Add, func(_ context.Context, p Pair) (int, error) {
			if p.X == 2 {
				return 0, errors.New("no twos")
			}
			return p.X + p.Y, nil
		}))
		same(t, got, 8)
	})
}

func TestProcessOrder_FourTriesWithTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		begin := time.Now()
		var keys []string
		var tried []time.Duration
		failing := ProcessOrder.Bind(func(ctx context.Context, o Order) (Receipt, error) {
			keys = append(keys, sdk.Key(ctx))
			tried = append(tried, time.Since(begin).Truncate(time.Second))
			if len(keys) < 4 {
				return Receipt{}, errors.New("does not answer")
			}
			return doProcessing(ctx, o, sdk.Key(ctx))
		})
		c.StartWorker(sdk.WorkerConfig{}, failing)
		receipt, err := submitAndWait(t.Context(), c.Client())
		if err != nil {
			t.Fatal(err)
		}
		same(t, receipt, Receipt{Order: 123, Key: keys[0]})
		same(t, keys, []string{keys[0], keys[0], keys[0], keys[0]})
		same(t, tried, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second})
	})
}

func TestState_UnknownIsNotPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		if s, err := state(t.Context(), c.Client(), sdk.NewJobID()); err == nil {
			t.Errorf("an unknown id is %q", s)
		}
		job, err := ProcessOrder.Submit(t.Context(), c.Client(), Order{ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		worked := make(chan error)
		go func() { worked <- work(ctx, c.Client()) }()
		if _, err := job.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, err := state(t.Context(), c.Client(), job.ID())
		same(t, s, "SUCCESS")
		same(t, err, nil)
		stop()
		same(t, <-worked, nil)
	})
}

func TestLimit_TenAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		same(t, limit(t.Context(), c.Client()), nil)
		var began []time.Time
		var mu sync.Mutex
		for range 2 { // Celery's limit would be that of each worker
			c.StartWorker(sdk.WorkerConfig{}, Add.Bind(func(_ context.Context, p Pair) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				began = append(began, time.Now())
				return p.X + p.Y, nil
			}))
		}
		jobs, err := sdk.SubmitBatch(t.Context(), c.Client(), Add, pairs(15))
		same(t, err, nil)
		for i, job := range jobs {
			sum, err := job.Await(t.Context())
			same(t, err, nil)
			same(t, sum, 2*i)
		}
		for i := 10; i < len(began); i++ {
			if d := began[i].Sub(began[i-10]); d < time.Minute-time.Millisecond {
				t.Errorf("eleven began within %v", d)
			}
		}
	})
}

func TestBeat_OneJobATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is the first of January 2000, a Saturday
		c := sdktest.NewCluster(t, 1)
		for range 3 { // three instances of the program
			same(t, beat(t.Context(), c.Client()), nil)
		}
		later, err := inTenSeconds(t.Context(), c.Client())
		same(t, err, nil)
		c.StartWorker(sdk.WorkerConfig{}, Add)
		begin := time.Now()
		sum, err := later.Await(t.Context())
		same(t, err, nil)
		same(t, sum, 4)
		same(t, time.Since(begin).Round(time.Second), 10*time.Second)
		time.Sleep(5 * time.Minute)
		sums := 0
		for job, err := range c.Client().List(t.Context(), sdk.JobFilter{Workflow: "add"}) {
			same(t, err, nil)
			same(t, job.State, "SUCCESS")
			sums++
		}
		same(t, sums, 1+10)
		ticks, err := c.Client().PreviewSchedule(t.Context(), sdk.Schedule{Name: "monday-report"}, time.Time{}, 2)
		same(t, err, nil)
		for i, want := range []string{"2000-01-03T07:30:00+01:00", "2000-01-10T07:30:00+01:00"} {
			same(t, ticks[i].Tick.Format(time.RFC3339), want)
		}
	})
}

func TestTimes(t *testing.T) {
	defer func(before func(context.Context, int) (string, error)) { render = before }(render)
	var soft time.Duration
	render = func(ctx context.Context, _ int) (string, error) {
		begin := time.Now()
		<-ctx.Done()
		soft = time.Since(begin).Round(time.Second)
		time.Sleep(3 * time.Minute) // does not heed it
		return "too late", nil
	}
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		never, err := orNever(t.Context(), c.Client())
		same(t, err, nil)
		_, err = never.Await(t.Context())
		if !errors.Is(err, sdk.ErrJobCanceled) || !strings.Contains(err.Error(), "EXPIRED") {
			t.Errorf("without a worker: %v", err)
		}
		c.StartWorker(sdk.WorkerConfig{}, Render)
		begin := time.Now()
		job, err := Render.Submit(t.Context(), c.Client(), 1)
		same(t, err, nil)
		_, err = job.Await(t.Context())
		same(t, errors.Is(err, sdk.ErrJobFailed), true)
		same(t, soft, time.Minute)
		if d := time.Since(begin); d < time.Minute || d > 91*time.Second {
			t.Errorf("the job of a function that hangs ended after %v", d)
		}
		time.Sleep(3 * time.Minute) // until it does return
	})
}
