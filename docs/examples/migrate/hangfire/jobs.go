// Package hangfire has the code of docs/migrate/hangfire.md: work that Hangfire users know, in Fanfold.
package hangfire

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Invoice is what is sent.
type Invoice struct{ Number int }

// The methods that Hangfire would call by their expression.
var (
	Render = sdk.NewTask("invoice.render", func(_ context.Context, i Invoice) (string, error) {
		return fmt.Sprintf("invoice-%d.pdf", i.Number), nil
	})
	Send = sdk.NewTask("invoice.send", func(ctx context.Context, file string) (string, error) {
		return "sent " + file, deliver(sdk.Key(ctx), file)
	}, sdk.Retry(sdk.RetryPolicy{MaxAttempts: 11})) // [AutomaticRetry(Attempts = 10)] counts the retries
	Thank = sdk.NewTask("invoice.thank", func(_ context.Context, sent []string) (string, error) {
		return fmt.Sprintf("%d invoices", len(sent)), nil
	})
)

// Bill is a job with its continuation: Send begins when Render has succeeded, and takes what it returned.
var Bill = sdk.NewWorkflow("invoice.bill", func(i sdk.Ref[Invoice]) sdk.Ref[string] {
	return sdk.Then(sdk.Then(i, Render), Send)
})

// BillAll is a batch with its continuation.
var BillAll = sdk.NewWorkflow("invoice.bill.all", func(all sdk.Ref[[]Invoice]) sdk.Ref[string] {
	files := sdk.Each(all, Render)
	return sdk.Then(sdk.Each(files, Send), Thank)
})

// deliver is the outside; a test puts another in its place.
var deliver = func(key, file string) error { return nil }

// enqueue is BackgroundJob.Enqueue. It returns when a majority of the cluster has the job on disk.
func enqueue(ctx context.Context, client *sdk.Client) (id string, err error) {
	job, err := Bill.Submit(ctx, client, Invoice{Number: 7})
	if err != nil {
		return "", err
	}
	return job.ID(), nil
}

// inAWeek is BackgroundJob.Schedule.
func inAWeek(ctx context.Context, client *sdk.Client) (*sdk.Job[string], error) {
	return Bill.Submit(ctx, client, Invoice{Number: 7}, sdk.RunIn(7*24*time.Hour))
}

// forget is BackgroundJob.Delete: CANCELED, and a running function's context ends.
func forget(ctx context.Context, client *sdk.Client, id string) error {
	return client.Cancel(ctx, id, "the customer called")
}

// requeue is BackgroundJob.Requeue: it runs what failed again, and keeps what succeeded.
func requeue(ctx context.Context, client *sdk.Client, id string) error {
	return client.Retry(ctx, id)
}

// serve is new BackgroundJobServer(options with Queues = { "default" }, WorkerCount = 8).
func serve(ctx context.Context, client *sdk.Client) error {
	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 8}})
	worker.Register(Bill, BillAll)
	return worker.Run(ctx)
}
