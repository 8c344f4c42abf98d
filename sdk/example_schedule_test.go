package sdk_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// A schedule makes a job at each tick. Schedule is safe to call at each start of the program.
func ExampleTask_Schedule() {
	ctx := context.Background()
	cluster, err := sdktest.Start()
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	client := cluster.Client()

	report := sdk.NewTask("reports.daily", func(ctx context.Context, to string) (string, error) {
		return "the report of " + sdk.Info(ctx).Tick.UTC().Format(time.DateOnly) + " to " + to, nil
	})
	cluster.StartWorker(sdk.WorkerConfig{}, report)
	err = report.Schedule(ctx, client, "team", sdk.Schedule{Name: "report", Cron: "0 6 * * mon-fri", Zone: "Europe/Berlin"})
	if err != nil {
		panic(err)
	}

	// Its next ticks: the clocks change on the 25th.
	ticks, err := client.PreviewSchedule(ctx, sdk.Schedule{Name: "report"}, time.Date(2030, 10, 25, 12, 0, 0, 0, time.UTC), 2)
	if err != nil {
		panic(err)
	}
	for _, t := range ticks {
		fmt.Println(t.Tick.UTC().Format(time.DateTime))
	}

	// A job of it now, as if it were for another day.
	id, err := client.TriggerSchedule(ctx, "report", time.Date(2030, 1, 2, 6, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	text, err := report.Attach(client, id).Await(ctx)
	fmt.Println(text, err)
	// Output:
	// 2030-10-28 05:00:00
	// 2030-10-29 05:00:00
	// the report of 2030-01-02 to team <nil>
}
