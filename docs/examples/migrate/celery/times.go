package celery

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Render has soft_time_limit=60 and time_limit=90.
var Render = sdk.NewTask("render",
	func(ctx context.Context, page int) (string, error) { return render(ctx, page) },
	sdk.Timeout(time.Minute), sdk.HardTimeout(90*time.Second), sdk.NoRetry())

// orNever is expires=10: a job that has not started by then never will.
func orNever(ctx context.Context, client *sdk.Client) (*sdk.Job[int], error) {
	return Add.Submit(ctx, client, Pair{2, 2}, sdk.StartWithin(10*time.Second))
}

// render stands for the work; a test puts one in its place that hangs.
var render = func(ctx context.Context, page int) (string, error) { return "", nil }
