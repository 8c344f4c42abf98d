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

func (a *app) jobTasks() *cobra.Command {
	var request apiv1.ListTasksRequest
	cmd := a.onJob("tasks ID", "List a job's live, dead and canceled tasks", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		request.Id, request.Namespace, request.State = id, f.namespace, strings.ToUpper(request.State)
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListTasks, &request)
		if err != nil {
			return err
		}
		if token := answer.GetNextPageToken(); token != "" {
			fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
		}
		return a.printer().Message(answer, func(rows *output.Rows) {
			rows.Add("STEP", "SHARD", "STATE", "ATTEMPTS", "LOST", "WORKER", "DUE", "ERROR")
			for _, task := range answer.GetTasks() {
				rows.Add(task.GetStep(), task.GetShard(), task.GetState(), task.GetAttempts(), task.GetCrashes(),
					output.Dash(task.GetWorker()), due(task.GetDueMs()), output.Dash(task.GetError().GetMessage()))
			}
		})
	})
	cmd.Flags().StringVar(&request.Step, "step", "", "only tasks of this step")
	cmd.Flags().StringVar(&request.State, "state", "", "only tasks in this state: PENDING, STARTED, RETRY, SUCCESS, DEAD, CANCELED")
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 100, "how many tasks")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	return cmd
}

// due is when a task may run again.
func due(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return "in " + output.Duration(time.Until(time.UnixMilli(ms)))
}
