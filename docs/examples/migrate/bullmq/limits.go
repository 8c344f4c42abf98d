package bullmq

import (
	"context"
	"errors"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// limits are limiter: { max: 10, duration: 1000 } on a queue, and a group's concurrency of 2.
func limits(ctx context.Context, client *sdk.Client) error {
	err := client.SetLimit(ctx, sdk.Limit{
		Scope: sdk.LimitQueue, Name: "paint", Kind: sdk.LimitWindow, N: 10, Period: time.Second,
	})
	if err != nil {
		return err
	}
	return client.SetLimit(ctx, sdk.Limit{
		Scope: sdk.LimitTask, Name: "call", PerPartition: true, Kind: sdk.LimitConcurrency, N: 2,
	})
}

// Call is a task that an outside system may slow down.
var Call = sdk.NewTask("call", func(ctx context.Context, c Customer) (string, error) {
	answer, wait := phone(c)
	if wait > 0 {
		return "", sdk.RateLimited(errBusy, wait) // worker.rateLimit(ms) and RateLimitError
	}
	return answer, nil
}, sdk.PartitionBy("/ID"))

// Customer is the group.
type Customer struct{ ID string }

// callOne is queue.add with group: { id }: the group is read out of the data.
func callOne(ctx context.Context, client *sdk.Client, id string) (*sdk.Job[string], error) {
	return Call.Submit(ctx, client, Customer{ID: id})
}

var errBusy = errors.New("the line is busy")

var phone = func(c Customer) (answer string, wait time.Duration) { return "hello " + c.ID, 0 }
