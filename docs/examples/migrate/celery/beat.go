package celery

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// Report is what beat starts.
var Report = sdk.NewTask("reports.weekly", func(ctx context.Context, pages int) (string, error) {
	return fmt.Sprintf("%d pages for %s", pages, sdk.Info(ctx).Tick.Format(time.DateOnly)), nil
})

// beat is beat_schedule. It may be called at each start of each instance of the program.
func beat(ctx context.Context, client *sdk.Client) error {
	err := Report.Schedule(ctx, client, 16, sdk.Schedule{
		Name: "monday-report", Cron: "30 7 * * mon", Zone: "Europe/Berlin",
	})
	if err != nil {
		return err
	}
	return Add.Schedule(ctx, client, Pair{16, 16}, sdk.Schedule{Name: "add-every-30-seconds", Every: 30 * time.Second})
}

// inTenSeconds is countdown=10.
func inTenSeconds(ctx context.Context, client *sdk.Client) (*sdk.Job[int], error) {
	return Add.Submit(ctx, client, Pair{2, 2}, sdk.RunIn(10*time.Second))
}
