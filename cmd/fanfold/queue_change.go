package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) queuePause() *cobra.Command {
	return a.onQueue("pause", "Start nothing more from a queue; what runs goes on", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.PauseQueue, &apiv1.PauseQueueRequest{Name: name})
		return a.done(err, "queue %s is paused", name.GetQueue())
	})
}

func (a *app) queueResume() *cobra.Command {
	return a.onQueue("resume", "Let a paused queue start tasks again", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ResumeQueue, &apiv1.ResumeQueueRequest{Name: name})
		return a.done(err, "queue %s is resumed", name.GetQueue())
	})
}

func (a *app) queueDrain() *cobra.Command {
	return a.onQueue("drain", "Take no new jobs for a queue; what waits runs out", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.DrainQueue, &apiv1.DrainQueueRequest{Name: name})
		return a.done(err, "queue %s takes no new jobs", name.GetQueue())
	})
}

func (a *app) queueUndrain() *cobra.Command {
	return a.onQueue("undrain", "Let a drained queue take new jobs again", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.UndrainQueue, &apiv1.UndrainQueueRequest{Name: name})
		return a.done(err, "queue %s takes new jobs", name.GetQueue())
	})
}

// purgePoll is how often a purge under way is looked at.
const purgePoll = 50 * time.Millisecond

func (a *app) queuePurge() *cobra.Command {
	return a.onQueue("purge", "Cancel the jobs that only wait in a queue now", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		ctx := cmd.Context()
		if _, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.PurgeQueue, &apiv1.PurgeQueueRequest{Name: name}); err != nil {
			return err
		}
		for {
			answer, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.GetQueue, &apiv1.GetQueueRequest{Name: name})
			if err != nil {
				return err
			}
			if jobs := answer.GetQueue().GetJobs(); !jobs.GetPurging() {
				return a.done(nil, "queue %s is purged: %d jobs canceled", name.GetQueue(), jobs.GetPurged())
			}
			select {
			case <-time.After(purgePoll):
			case <-ctx.Done():
				return ctx.Err() // it goes on by itself
			}
		}
	})
}
