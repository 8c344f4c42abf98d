package celery

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// limit is rate_limit="10/m", for all workers together.
func limit(ctx context.Context, client *sdk.Client) error {
	return client.SetLimit(ctx, sdk.Limit{
		Scope: sdk.LimitTask, Name: "add", Kind: sdk.LimitRate, N: 10, Period: time.Minute,
	})
}
