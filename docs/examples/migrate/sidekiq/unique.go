package sidekiq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// performUnique is unique_for: 10.minutes. The key is derived from the input.
func performUnique(ctx context.Context, client *sdk.Client, month int) (*sdk.Job[string], error) {
	return Report.Submit(ctx, client, month, sdk.Unique(sdk.UniqueConfig{TTL: 10 * time.Minute}))
}

// performUntilStart is unique_until: :start.
func performUntilStart(ctx context.Context, client *sdk.Client, month int) (*sdk.Job[string], error) {
	return Report.Submit(ctx, client, month, sdk.Unique(sdk.UniqueConfig{Scope: sdk.UntilStart}))
}
