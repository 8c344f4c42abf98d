package hangfire

import (
	"context"

	"github.com/fanfold/fanfold/sdk"
)

// oneAtATime is [DisableConcurrentExecution] on Send.
func oneAtATime(ctx context.Context, client *sdk.Client) error {
	return client.SetLimit(ctx, sdk.Limit{Scope: sdk.LimitTask, Name: "invoice.send", Kind: sdk.LimitConcurrency, N: 1})
}
