package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) scheduleList() *cobra.Command {
	var request apiv1.ListSchedulesRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List the schedules by name", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListSchedules, &request)
			if err != nil {
				return err
			}
			if token := answer.GetNextPageToken(); token != "" {
				fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("NAME", "WORKFLOW", "WHEN", "NEXT", "LAST", "RUNNING", "STATE")
				for _, s := range answer.GetSchedules() {
					rows.Add(s.GetSchedule().GetName(), s.GetWorkflow(), timesText(s.GetSchedule()), when(s.GetNextTickMs()),
						when(s.GetLastTickMs()), s.GetRunning(), scheduleState(s))
				}
			})
		},
	}
	cmd.Flags().StringVar(&request.Namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 100, "how many schedules")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	return cmd
}

func timesText(s *apiv1.Schedule) string {
	text := s.GetCron()
	if text == "" {
		text = "every " + (time.Duration(s.GetEveryMs()) * time.Millisecond).String()
	}
	if s.GetZone() != "" {
		text += " in " + s.GetZone()
	}
	return text
}

func scheduleState(s *apiv1.ScheduleStatus) string {
	switch {
	case s.GetSchedule().GetPaused():
		return "paused"
	case s.GetNextTickMs() == 0:
		return "ended"
	}
	return "active"
}
