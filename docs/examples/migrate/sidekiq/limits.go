package sidekiq

import (
	"context"
	"errors"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Charge calls a payment service that allows ten calls a second to each of its customers.
var Charge = sdk.NewTask("charge", func(ctx context.Context, cents int) (string, error) {
	id, err := charge(sdk.Key(ctx), cents)
	if errors.Is(err, errSlowDown) { // a 429
		return "", sdk.RateLimited(err, 30*time.Second)
	}
	return id, err
})

// limits are Sidekiq::Limiter.window("stripe", 10, :second) and .concurrent("reports", 3).
func limits(ctx context.Context, client *sdk.Client) error {
	err := client.SetLimit(ctx, sdk.Limit{
		Scope: sdk.LimitTask, Name: "charge", PerPartition: true, Kind: sdk.LimitWindow, N: 10, Period: time.Second,
	})
	if err != nil {
		return err
	}
	return client.SetLimit(ctx, sdk.Limit{Scope: sdk.LimitTask, Name: "report", Kind: sdk.LimitConcurrency, N: 3})
}

// chargeFor submits a charge of one customer.
func chargeFor(ctx context.Context, client *sdk.Client, customer string, cents int) (*sdk.Job[string], error) {
	return Charge.Submit(ctx, client, cents, sdk.Partition(customer))
}

var errSlowDown = errors.New("too many requests")

var charge = func(key string, cents int) (string, error) { return "charged " + key, nil }
