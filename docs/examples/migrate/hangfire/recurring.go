package hangfire

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// recurring is RecurringJob.AddOrUpdate. Missed is MisfireHandlingMode, and this is the default of both.
func recurring(ctx context.Context, client *sdk.Client) error {
	return Bill.Schedule(ctx, client, Invoice{Number: 7}, sdk.Schedule{
		Name: "daily-bill", Cron: "0 4 * * *", Zone: "Europe/London", Missed: sdk.MissedFireOnce,
	})
}

// trigger is RecurringJob.TriggerJob, and remove is RecurringJob.RemoveIfExists.
func trigger(ctx context.Context, client *sdk.Client) (id string, err error) {
	return client.TriggerSchedule(ctx, "daily-bill", time.Time{})
}

func remove(ctx context.Context, client *sdk.Client) error {
	return client.DeleteSchedule(ctx, "daily-bill")
}
