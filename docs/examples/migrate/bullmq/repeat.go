package bullmq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// repeat is queue.upsertJobScheduler, with a pattern and with every.
func repeat(ctx context.Context, client *sdk.Client) error {
	err := Estimate.Schedule(ctx, client, []Place{{"floor"}}, sdk.Schedule{
		Name: "nightly-estimate", Cron: "0 15 3 * * *", Zone: "Europe/Paris",
	})
	if err != nil {
		return err
	}
	return Paint.Schedule(ctx, client, Place{"walls"}, sdk.Schedule{Name: "touch-up", Every: 10 * time.Minute})
}
