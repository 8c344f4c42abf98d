package bullmq

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// world is a cluster with the worker of the page.
func world(t *testing.T, body func(ctx context.Context, client *sdk.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		ctx, stop := context.WithCancel(t.Context())
		worked := make(chan error)
		go func() { worked <- work(ctx, c.Client()) }()
		body(t.Context(), c.Client())
		stop()
		same(t, <-worked, nil)
	})
}

func TestFlows(t *testing.T) {
	same(t, sdktest.Run(t, Renovate, House{"Main Street 1"}), Bill{Cents: 75000})
	same(t, sdktest.Run(t, Estimate, []Place{{"floor"}, {"roof"}, {"floor"}}), 80000)
	same(t, sdktest.Run(t, Survey, Place{"floor"}), sdk.Pair[int, string]{First: 8000, Second: "400.00"})
}

func TestRenovate_AFailedChildFailsItsParent(t *testing.T) {
	_, err := sdktest.Try(t, Renovate, House{}, sdktest.Fake(Fix, func(context.Context, Place) (int, error) { return 0, errNoSuchPlace }))
	var failed *sdk.JobError
	if !errors.As(err, &failed) || failed.Step != "fix" {
		t.Errorf("got %v", err)
	}
}

func TestAdd_IsDelayedAndRemoved(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		begin := time.Now()
		job, err := add(ctx, client)
		same(t, err, nil)
		cents, err := job.Await(ctx)
		same(t, err, nil)
		same(t, cents, 25000)
		same(t, time.Since(begin).Round(100*time.Millisecond), 5*time.Second)
		time.Sleep(time.Hour + time.Second)
		if _, err := job.Status(ctx); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("after an hour: %v", err)
		}
	})
}

func TestAddOnce_TheSameIdIsTheSameJob(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		id := sdk.NewJobID()
		for _, want := range []bool{false, true} {
			job, existing, err := addOnce(ctx, client, id)
			same(t, err, nil)
			same(t, existing, want)
			same(t, job.ID(), id)
		}
	})
}

func TestRepeat_IsSetOnce(t *testing.T) {
	world(t, func(ctx context.Context, client *sdk.Client) {
		same(t, repeat(ctx, client), nil)
		same(t, repeat(ctx, client), nil)
		time.Sleep(35 * time.Minute)
		painted := 0
		for job, err := range client.List(ctx, sdk.JobFilter{Workflow: "paint"}) {
			same(t, err, nil)
			same(t, job.State, "SUCCESS")
			painted++
		}
		same(t, painted, 3)
	})
}

func TestLimits_TwoCallsToACustomerAtATime(t *testing.T) {
	defer func(before func(Customer) (string, time.Duration)) { phone = before }(phone)
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	phone = func(c Customer) (string, time.Duration) {
		mu.Lock()
		now[c.ID]++
		most[c.ID] = max(most[c.ID], now[c.ID])
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		now[c.ID]--
		mu.Unlock()
		return "hello " + c.ID, 0
	}
	world(t, func(ctx context.Context, client *sdk.Client) {
		same(t, limits(ctx, client), nil)
		begin := time.Now()
		var jobs []*sdk.Job[string]
		for _, id := range []string{"ann", "ann", "ann", "ann", "bob"} {
			job, err := callOne(ctx, client, id)
			same(t, err, nil)
			jobs = append(jobs, job)
		}
		for _, job := range jobs {
			_, err := job.Await(ctx)
			same(t, err, nil)
		}
		same(t, most, map[string]int{"ann": 2, "bob": 1})
		same(t, time.Since(begin).Round(100*time.Millisecond), 2*time.Second)
	})
}

func TestDedupe_FiveSubmissionsInFiveSeconds(t *testing.T) {
	for name, mode := range map[string]struct {
		option sdk.SubmitOption
		want   string // the inputs that ran
	}{
		"simple": {simple, "ace"}, "throttle": {throttle, "a"}, "debounce": {debounce, "e"}, "keep latest": {keepLatest, "abde"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := sdktest.NewCluster(t, 1)
				var mu sync.Mutex
				ran := ""
				c.StartWorker(sdk.WorkerConfig{}, Paint.Bind(func(_ context.Context, p Place) (int, error) {
					mu.Lock()
					ran += p.Name
					mu.Unlock()
					time.Sleep(1700 * time.Millisecond)
					return 0, nil
				}))
				for _, what := range []string{"a", "b", "c", "d", "e"} { // one each second
					_, err := dedupe(t.Context(), c.Client(), Place{what}, mode.option)
					same(t, err, nil)
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				same(t, ran, mode.want)
			})
		})
	}
}
