package sidekiq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// performAsync is perform_async. The job has a result, and may be waited for.
func performAsync(ctx context.Context, client *sdk.Client) (*sdk.Job[string], error) {
	return Welcome.Submit(ctx, client, Signup{User: 7, Email: "ann@example.org"})
}

// performAt is perform_at.
func performAt(ctx context.Context, client *sdk.Client, at time.Time) (*sdk.Job[string], error) {
	return Welcome.Submit(ctx, client, Signup{User: 7, Email: "ann@example.org"}, sdk.StartAt(at))
}

// performBulk is perform_bulk: the jobs come in the order of the inputs.
func performBulk(ctx context.Context, client *sdk.Client, all []Signup) ([]*sdk.Job[string], error) {
	return sdk.SubmitBatch(ctx, client, Welcome, all)
}

// work is bundle exec sidekiq -q default -q low -c 10, with slots for each queue.
func work(ctx context.Context, client *sdk.Client) error {
	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 8, "low": 2}})
	worker.Register(Welcome, Report)
	return worker.Run(ctx) // blocks; drains for 25 s when ctx ends, then hands back what is left
}
