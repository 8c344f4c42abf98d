package sidekiq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// periodic is config.periodic. It may be called at each start of each instance of the program.
func periodic(ctx context.Context, client *sdk.Client) error {
	return Report.Schedule(ctx, client, 3, sdk.Schedule{
		Name: "nightly-report", Cron: "0 4 * * *", Zone: "America/New_York",
	})
}

// performIn is perform_in.
func performIn(ctx context.Context, client *sdk.Client, d time.Duration) (*sdk.Job[string], error) {
	return Welcome.Submit(ctx, client, Signup{User: 7, Email: "ann@example.org"}, sdk.RunIn(d))
}
