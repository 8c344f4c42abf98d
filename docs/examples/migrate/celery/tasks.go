// Package celery has the code of docs/migrate/celery.md: work that Celery users know, in Fanfold.
package celery

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Order is what the customer sent, Receipt what they get.
type (
	Order   struct{ ID int }
	Receipt struct {
		Order int
		Key   string
	}
)

// ProcessOrder is tried four times: at once, and after 1, 2 and 4 seconds.
var ProcessOrder = sdk.NewTask("orders.process",
	func(ctx context.Context, o Order) (Receipt, error) { return doProcessing(ctx, o, sdk.Key(ctx)) },
	sdk.Retry(sdk.RetryPolicy{MaxAttempts: 4, First: time.Second, Factor: 2, Jitter: -1}))

// Pair is what add takes.
type Pair struct{ X, Y int }

// The tasks of Celery's own documentation.
var (
	Add  = sdk.NewTask("add", func(_ context.Context, p Pair) (int, error) { return p.X + p.Y, nil })
	Mul  = sdk.NewTask("mul", func(_ context.Context, p Pair) (int, error) { return p.X * p.Y, nil })
	XSum = sdk.NewTask("xsum", func(_ context.Context, ns []int) (total int, _ error) {
		for _, n := range ns {
			total += n
		}
		return total, nil
	})
	AddAll = sdk.NewTask("add.all", func(_ context.Context, pairs []Pair) (sums []int, _ error) {
		for _, p := range pairs {
			sums = append(sums, p.X+p.Y)
		}
		return sums, nil
	})
)

// doProcessing stands for the work; a test puts a service that fails in its place.
var doProcessing = func(_ context.Context, o Order, key string) (Receipt, error) {
	return Receipt{Order: o.ID, Key: key}, nil
}
