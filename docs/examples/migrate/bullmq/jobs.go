package bullmq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// add is queue.add with attempts, backoff, priority and delay.
func add(ctx context.Context, client *sdk.Client) (*sdk.Job[int], error) {
	task := Paint.With(
		sdk.Queue("paint"),
		sdk.Priority(1),
		sdk.Retry(sdk.RetryPolicy{MaxAttempts: 3, First: time.Second, Factor: 2}))
	return task.Submit(ctx, client, Place{"walls"},
		sdk.RunIn(5*time.Second),
		sdk.Retain(time.Hour)) // removeOnComplete: { age: 3600 }
}

// addOnce is jobId: the same id is the same job, for as long as it is kept.
func addOnce(ctx context.Context, client *sdk.Client, id string) (job *sdk.Job[int], existing bool, err error) {
	job, err = Paint.Submit(ctx, client, Place{"walls"}, sdk.JobID(id))
	if err != nil {
		return nil, false, err
	}
	return job, job.Existing(), nil
}

// work is new Worker("paint", ..., { concurrency: 50 }).
func work(ctx context.Context, client *sdk.Client) error {
	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"paint": 50, "default": 8}})
	worker.Register(Renovate, Estimate, Survey, Call)
	return worker.Run(ctx)
}
