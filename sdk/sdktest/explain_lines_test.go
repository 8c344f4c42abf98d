package sdktest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// explained checks the codes of an explanation and a part of its first sentence, and returns the first reason.
func explained(t *testing.T, client *sdk.Client, id, want, has string) *apiv1.Reason {
	t.Helper()
	got, e := codes(t, client, id)
	if got != want || !strings.Contains(e.Reasons[0].Text, has) {
		t.Errorf("got %s (%s), want %s with %q", got, e.Reasons[0].Text, want, has)
	}
	return e.Reasons[0]
}

// in is how far away a moment of an explanation is.
func in(ms int64) time.Duration {
	return time.Until(time.UnixMilli(ms)).Round(100 * time.Millisecond)
}

// TestExplain_SaysWhichLimitOrPauseHoldsATask: a limit with the place in line and the time of its turn, a handler
// that was told to slow down, a queue that is paused; and the same from the next leader.
func TestExplain_SaysWhichLimitOrPauseHoldsATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client, ctx := c.Client(), t.Context()
		limit := sdk.Limit{Scope: sdk.LimitQueue, Name: "narrow", PerPartition: true, Kind: sdk.LimitRate, N: 1, Period: time.Minute}
		if err := client.SetLimit(ctx, limit); err != nil {
			t.Fatal(err)
		}
		mail := sdk.NewTask("mail", func(context.Context, int) (int, error) { return 0, nil }, sdk.Queue("narrow"))
		slow := sdk.NewTask("slow", func(context.Context, int) (int, error) {
			return 0, sdk.RateLimited(errors.New("429"), 10*time.Minute)
		}, sdk.Queue("api"))
		held := sdk.NewTask("held", func(context.Context, int) (int, error) { return 0, nil }, sdk.Queue("night"))
		one := sdk.NewTask("one", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }, sdk.Queue("single"))
		c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"narrow": 4, "api": 4, "night": 4, "single": 4}}, mail, slow, held, one)
		submit := func(task *sdk.Task[int, int], opts ...sdk.SubmitOption) string {
			t.Helper()
			job, err := task.Submit(ctx, client, 1, opts...)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return job.ID()
		}

		submit(mail, sdk.Partition("acme")) // takes the first turn
		second, third := submit(mail, sdk.Partition("acme")), submit(mail, sdk.Partition("acme"))
		if r := explained(t, client, second, "LIMIT_FULL", "queue narrow in partition acme may begin 1 attempts in 60000 ms"); r.Position != 1 || in(r.UntilMs) != time.Minute {
			t.Errorf("the second is at place %d and waits %v", r.Position, in(r.UntilMs))
		}
		if r := explained(t, client, third, "LIMIT_FULL", "queue narrow"); r.Position != 2 || r.Queue != "narrow" {
			t.Errorf("the third is at place %d of %s", r.Position, r.Queue)
		}

		if err := client.SetLimit(ctx, sdk.Limit{Scope: sdk.LimitTask, Name: "one", Kind: sdk.LimitConcurrency, N: 1}); err != nil {
			t.Fatal(err)
		}
		submit(one)
		if r := explained(t, client, submit(one), "LIMIT_FULL", "task one may have 1 attempts running at once"); r.UntilMs != 0 || r.Position != 1 {
			t.Errorf("a concurrency limit: place %d, until %d", r.Position, r.UntilMs)
		}

		limited := submit(slow)
		time.Sleep(time.Second)
		if r := explained(t, client, limited, "RATE_LIMITED", "a handler of task slow"); in(r.UntilMs) < 9*time.Minute {
			t.Errorf("paused for %v more", in(r.UntilMs))
		}

		if err := client.SetQueue(ctx, "night", sdk.QueueSettings{}); err != nil {
			t.Fatal(err)
		}
		if err := client.PauseQueue(ctx, "night"); err != nil {
			t.Fatal(err)
		}
		paused := submit(held)
		explained(t, client, paused, "QUEUE_PAUSED", "queue night is paused")

		failover(t, c)
		explained(t, client, paused, "QUEUE_PAUSED", "queue night is paused")
		explained(t, client, limited, "RATE_LIMITED", "a handler of task slow")
		if r := explained(t, client, third, "LIMIT_FULL", "queue narrow"); r.Position != 2 {
			t.Errorf("place %d after the failover", r.Position)
		}
	})
}

// TestExplain_SaysWhichKeyHoldsAJob: keep-latest names the job to wait for, debounce the time of its start.
func TestExplain_SaysWhichKeyHoldsAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 3)
		client, ctx := c.Client(), t.Context()
		gate := make(chan struct{})
		index := sdk.NewTask("index", func(context.Context, int) (int, error) { <-gate; return 0, nil })
		after := sdk.NewTask("after", func(context.Context, int) (int, error) { return 0, nil })
		flow := sdk.NewWorkflow("reindex", func(n sdk.Ref[int]) sdk.Ref[int] { return sdk.Then(sdk.Then(n, index), after) })
		c.StartWorker(sdk.WorkerConfig{}, flow)
		submit := func(opts ...sdk.SubmitOption) *sdk.Job[int] {
			t.Helper()
			job, err := flow.Submit(ctx, client, 1, opts...)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return job
		}
		first := submit(sdk.KeepLatest("catalogue"))
		latest := submit(sdk.KeepLatest("catalogue"))
		if r := explained(t, client, latest.ID(), "KEEP_LATEST", `of the key "catalogue" one job runs at a time`); r.Job != first.ID() {
			t.Errorf("it waits for %q, and should for %q", r.Job, first.ID())
		}
		if got, _ := codes(t, client, latest.ID(), sdk.OfStep("after")); got != "BLOCKED KEEP_LATEST" {
			t.Errorf("the second step: %s", got)
		}
		quiet := submit(sdk.Debounce("search", 20*time.Second, time.Minute))
		time.Sleep(15 * time.Second)
		submit(sdk.Debounce("search", 20*time.Second, time.Minute))
		if r := explained(t, client, quiet.ID(), "DEBOUNCE", `the key "search" has come for 20000 ms`); in(r.UntilMs) != 20*time.Second {
			t.Errorf("it starts in %v", in(r.UntilMs))
		}
		explained(t, client, submit(sdk.RunIn(time.Hour)).ID(), "SCHEDULED", "not due")
		close(gate)
		for _, job := range []*sdk.Job[int]{first, latest, quiet} {
			if _, err := job.Await(ctx); err != nil {
				t.Error(err)
			}
			explained(t, client, job.ID(), "JOB_ENDED DONE", "SUCCESS")
		}
	})
}
