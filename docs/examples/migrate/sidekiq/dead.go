package sidekiq

import (
	"context"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// deadSet is Sidekiq::DeadSet.new, grouped by what went wrong.
func deadSet(ctx context.Context, client *sdk.Client) (lines []string, err error) {
	groups, _, err := client.DeadGroups(ctx, sdk.DeadFilter{Workflow: "mail.welcome"})
	for _, g := range groups {
		lines = append(lines, fmt.Sprintf("%d times %s", g.Jobs, g.Newest.Message))
	}
	return lines, err
}

// retryAll is Sidekiq::DeadSet.new.retry_all, at ten a second: the storm would be the second outage.
func retryAll(ctx context.Context, client *sdk.Client) (id string, err error) {
	return client.StartRedrive(ctx, sdk.RedriveConfig{
		Filter: sdk.DeadFilter{Workflow: "mail.welcome"}, Jobs: 10, Period: time.Second,
	})
}
