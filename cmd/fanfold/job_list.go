package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) jobList() *cobra.Command {
	var request apiv1.ListJobsRequest
	var stale bool
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			if stale {
				request.Consistency = apiv1.Consistency_CONSISTENCY_STALE
			}
			request.State = strings.ToUpper(request.State)
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListJobs, &request)
			if err != nil {
				return err
			}
			if token := answer.GetNextPageToken(); token != "" {
				fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("ID", "WORKFLOW", "STATE", "AGE", "TOOK")
				for _, job := range answer.GetJobs() {
					rows.Add(job.GetId(), job.GetWorkflow(), job.GetState(), output.Age(job.GetCreatedMs(), time.Now()), took(job))
				}
			})
		},
	}
	cmd.Flags().StringVar(&request.Namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().StringVar(&request.State, "state", "", "only jobs in this state: RUNNING, SUCCESS, FAILURE, CANCELED")
	cmd.Flags().StringVar(&request.Workflow, "workflow", "", "only jobs of this workflow")
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 50, "how many jobs")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	cmd.Flags().BoolVar(&stale, "stale", false, "the answering node's own view: works without a leader")
	return cmd
}

// took is how long a job ran, or has been running.
func took(job *apiv1.JobStatus) string {
	end := time.Now()
	if job.GetFinishedMs() != 0 {
		end = time.UnixMilli(job.GetFinishedMs())
	}
	return output.Duration(end.Sub(time.UnixMilli(job.GetCreatedMs())))
}
