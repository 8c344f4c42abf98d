package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// A queue that is paused starts nothing; a purge cancels what only waits.
func ExampleClient_PurgeQueue() {
	ctx, client := context.Background(), dialed()
	letters := sdk.Declare[string, string]("letter", sdk.Queue("letters"))
	if err := client.SetQueue(ctx, "letters", sdk.QueueSettings{Ageing: time.Minute}); err != nil { // makes it
		log.Fatal(err)
	}
	if err := client.PauseQueue(ctx, "letters"); err != nil {
		log.Fatal(err)
	}
	if _, err := sdk.SubmitBatch(ctx, client, letters, []string{"a", "b", "c"}); err != nil {
		log.Fatal(err)
	}
	n, err := client.PurgeQueue(ctx, "letters")
	fmt.Println(n, err)
	fmt.Println(client.ResumeQueue(ctx, "letters"))
	// Output:
	// 3 <nil>
	// <nil>
}

// A drained queue takes no new jobs, and one with a budget no more than that.
func ExampleClient_SetQueue() {
	ctx, client := context.Background(), dialed()
	parcels := sdk.Declare[string, string]("parcel", sdk.Queue("parcels"))
	err := client.SetQueue(ctx, "parcels", sdk.QueueSettings{
		Weights: map[string]int{"tenant-7": 5},
		Failure: &sdk.Retention{Age: 30 * 24 * time.Hour, Count: 100_000, Bytes: 1 << 30},
		Budget:  &sdk.Budget{Jobs: 1},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, first := parcels.Submit(ctx, client, "a", sdk.Partition("tenant-7"))
	_, second := parcels.Submit(ctx, client, "b")
	var refused *sdk.APIError
	fmt.Println(first, errors.Is(second, sdk.ErrOverBudget), errors.As(second, &refused) && refused.RetryAfter > 0)

	if err := client.DrainQueue(ctx, "parcels"); err != nil {
		log.Fatal(err)
	}
	_, third := parcels.Submit(ctx, client, "c")
	fmt.Println(errors.Is(third, sdk.ErrQueueDraining))
	q, err := client.Queue(ctx, "parcels")
	fmt.Println(q.GetDraining(), q.GetJobs().GetUnfinished().GetJobs(), err)
	// Output:
	// <nil> true true
	// true
	// true 1 <nil>
}

// At most 100 mails a minute, and of each tenant no more than three at a time.
func ExampleClient_SetLimit() {
	ctx, client := context.Background(), dialed()
	for _, l := range []sdk.Limit{
		{Scope: sdk.LimitTask, Name: "mail.send", Kind: sdk.LimitRate, N: 100, Period: time.Minute, Burst: 10},
		{Scope: sdk.LimitTask, Name: "mail.send", PerPartition: true, Kind: sdk.LimitConcurrency, N: 3},
	} {
		if err := client.SetLimit(ctx, l); err != nil {
			log.Fatal(err)
		}
	}
	limits, err := client.Limits(ctx)
	for _, l := range limits {
		fmt.Println(l.GetLimit().GetName(), l.GetLimit().GetKind(), l.GetLimit().GetN(), err)
	}
	// The partition of a task is its job's, or read out of the task's input:
	_ = sdk.Declare[map[string]string, string]("mail.send", sdk.PartitionBy("/tenant"))
	// Output:
	// mail.send RATE 100 <nil>
	// mail.send CONCURRENCY 3 <nil>
}

// A handler that was told to slow down says so: no attempt is counted, and the task keeps its place.
func ExampleRateLimited() {
	ctx := context.Background()
	asked := false
	call := sdk.NewTask("call", func(context.Context, int) (string, error) {
		if !asked {
			asked = true
			return "", sdk.RateLimited(errors.New("429 Too Many Requests"), 20*time.Millisecond)
		}
		return "done", nil
	}, sdk.NoRetry())
	defer work(call)()
	job, err := call.Submit(ctx, dialed(), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Await(ctx))
	// Output: done <nil>
}
