package main

import (
	"github.com/spf13/cobra"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/progress"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// watchIntervalMS is how often a watched job is drawn at most.
const watchIntervalMS = 200

func (a *app) jobWatch() *cobra.Command {
	return a.onJob("watch ID", "Follow a job until it ends", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		ctx := cmd.Context()
		display := progress.New(a.out)
		var last *apiv1.JobStatus
		for last == nil || !ended(last.GetState()) { // a stream may end early when its leader does
			err := remote.Stream(ctx, client,
				func(api apiv1connect.FanfoldClient) (*connect.ServerStreamForClient[apiv1.WatchJobResponse], error) {
					return api.WatchJob(ctx, connect.NewRequest(&apiv1.WatchJobRequest{Id: id, Namespace: f.namespace, IntervalMs: watchIntervalMS}))
				},
				func(message *apiv1.WatchJobResponse) error {
					last = message.GetJob()
					display.Show(progress.OfJob("", last)...)
					return nil
				})
			if err != nil {
				return err
			}
		}
		display.Note("job " + id + " is " + last.GetState())
		return jobError(last)
	})
}
