package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) jobCancel() *cobra.Command {
	var reason string
	cmd := a.onJob("cancel ID", "Cancel a job: nothing of it starts any more", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.CancelJob,
			&apiv1.CancelJobRequest{Id: id, Namespace: f.namespace, Reason: reason})
		return a.done(err, "job %s is %s", id, answer.GetState())
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who look at the job later")
	return cmd
}

func (a *app) jobRetry() *cobra.Command {
	return a.onJob("retry ID", "Run the failed and canceled steps of an ended job again", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.RetryJob,
			&apiv1.RetryJobRequest{Id: id, Namespace: f.namespace})
		return a.done(err, "job %s is %s", id, answer.GetState())
	})
}

func (a *app) jobPurge() *cobra.Command {
	return a.onJob("purge ID", "Remove an ended job with its results", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.PurgeJob,
			&apiv1.PurgeJobRequest{Id: id, Namespace: f.namespace})
		return a.done(err, "job %s is removed", id)
	})
}

// errNotEnded says that a job has no result yet.
func errNotEnded(job *apiv1.JobStatus) error {
	return fmt.Errorf("job %s is %s and has no result yet", job.GetId(), job.GetState())
}
