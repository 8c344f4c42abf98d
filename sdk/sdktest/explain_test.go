package sdktest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// codes are the reasons of an explanation, with the texts for messages.
func codes(t *testing.T, client *sdk.Client, id string, opts ...sdk.ExplainOption) (list string, e *sdk.Explanation) {
	t.Helper()
	e, err := client.Explain(t.Context(), id, opts...)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range e.Reasons {
		all = append(all, r.Code)
		t.Logf("%s %s: %s %s", e.Step, e.State, r.Code, r.Text)
	}
	return strings.Join(all, " "), e
}

// TestExplain_SaysWhatATaskWaitsFor follows a job of two steps and a map from nobody there to its end.
func TestExplain_SaysWhatATaskWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client := c.Client()
		fail := make(chan error, 1)
		gate := make(chan struct{})
		first := sdk.NewTask("first", func(ctx context.Context, n int) ([]int, error) {
			sdk.Progress(ctx, 3, 9, "files")
			select {
			case err := <-fail:
				return nil, err
			case <-gate:
				return []int{1, 2, 3}, nil
			}
		}, sdk.Retry(sdk.RetryPolicy{First: time.Minute, Jitter: -1}))
		item := sdk.NewTask("item", func(ctx context.Context, n int) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }, sdk.Queue("other"))
		two := sdk.NewWorkflow("two", func(n sdk.Ref[int]) sdk.Ref[[]int] { return sdk.Each(sdk.Then(n, first), item, sdk.MaxParallel(2)) })
		expect := func(want, has string, id string, opts ...sdk.ExplainOption) *sdk.Explanation {
			t.Helper()
			got, e := codes(t, client, id, opts...)
			if got != want || !strings.Contains(e.Reasons[0].Text, has) {
				t.Errorf("got %s (%s), want %s with %q", got, e.Reasons[0].Text, want, has)
			}
			return e
		}

		later, err := two.Submit(t.Context(), client, 1, sdk.StartAt(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		if e := expect("SCHEDULED", "not due", later.ID()); time.Until(time.UnixMilli(e.Reasons[0].UntilMs)).Round(time.Second) != time.Hour {
			t.Errorf("until %v", e.Reasons[0].UntilMs)
		}
		job, err := two.Submit(t.Context(), client, 1)
		if err != nil {
			t.Fatal(err)
		}
		expect("NO_WORKER", "no live worker offers task first", job.ID())
		expect("BLOCKED", "first (PENDING)", job.ID(), sdk.OfStep("item"))
		expect("BLOCKED", "first (PENDING)", job.ID(), sdk.OfItem("item", 2))
		elsewhere := c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"wrong": 1}}, first)
		synctest.Wait()
		expect("NO_WORKER", "in other queues by "+elsewhere.Host, job.ID())
		busy, err := two.Submit(t.Context(), client, 1)
		if err != nil {
			t.Fatal(err)
		}
		w := c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 1}}, first)
		time.Sleep(2 * time.Second)
		if e := expect("RUNNING", "on worker "+w.Host, job.ID()); e.Reasons[0].GetProgress().GetNote() != "files" || e.Reasons[0].SinceMs == 0 {
			t.Errorf("running: %v", e)
		}
		if e := expect("NO_FREE_SLOT", "all 1 slots", busy.ID()); e.Reasons[0].Position != 1 {
			t.Errorf("position %d", e.Reasons[0].Position)
		}
		fail <- errors.New("disk full")
		synctest.Wait()
		if e := expect("RETRY", "disk full", job.ID(), sdk.OfStep("first")); time.Until(time.UnixMilli(e.Reasons[0].UntilMs)).Round(time.Second) != time.Minute {
			t.Errorf("until %v", e.Reasons[0].UntilMs)
		}
		close(gate)
		time.Sleep(2 * time.Minute)
		expect("NO_WORKER", "task item in queue other", job.ID())
		expect("NOT_MADE NO_WORKER", "2 items", job.ID(), sdk.OfItem("item", 2))
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"other": 10}}, item)
		time.Sleep(time.Second)
		expect("PARALLEL RUNNING", "2 items of the step are live", job.ID())
		expect("PARALLEL", "2 items", job.ID(), sdk.OfItem("item", 2))
		expect("RUNNING", "attempt 1", job.ID(), sdk.OfItem("item", 1))
		expect("DONE", "succeeded", job.ID(), sdk.OfStep("first"))
		if _, err := client.Explain(t.Context(), job.ID(), sdk.OfItem("item", 3)); !errors.Is(err, sdk.ErrNotFound) {
			t.Errorf("an item that is not there: %v", err)
		}
		if err := job.Cancel(t.Context(), "enough"); err != nil {
			t.Fatal(err)
		}
		expect("JOB_ENDED CANCELED", "enough", job.ID())

		leader := c.Leader()
		for _, id := range c.Nodes() {
			if id != leader {
				c.Kill(id)
			}
		}
		time.Sleep(10 * time.Second)
		if e := expect("NO_QUORUM SCHEDULED", "no leader", later.ID()); !e.Stale {
			t.Error("an old state is not said to be one")
		}
	})
}
