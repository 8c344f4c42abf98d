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

func (a *app) scheduleShow() *cobra.Command {
	return a.onSchedule("show NAME", "Show a schedule and its last ticks", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.GetSchedule, &apiv1.GetScheduleRequest{Namespace: namespace, Name: name})
		if err != nil {
			return err
		}
		return a.printer().Message(answer, func(rows *output.Rows) { showSchedule(rows, answer.GetSchedule()) })
	})
}

func showSchedule(rows *output.Rows, s *apiv1.ScheduleStatus) {
	set := s.GetSchedule()
	rows.Add("schedule", set.GetName())
	rows.Add("workflow", s.GetWorkflow())
	rows.Add("when", timesText(set))
	rows.Add("state", scheduleState(s), s.GetNote())
	rows.Add("missed", policyName(set.GetMissed()))
	rows.Add("overlap", policyName(set.GetOverlap()))
	for _, row := range []struct {
		name string
		ms   int64
	}{
		{"start", set.GetStartMs()}, {"end", set.GetEndMs()}, {"next tick", s.GetNextTickMs()}, {"fired at", s.GetNextDueMs()},
		{"last tick", s.GetLastTickMs()}, {"waiting tick", s.GetWaitingTickMs()},
	} {
		if row.ms != 0 {
			rows.Add(row.name, when(row.ms))
		}
	}
	rows.Add("running", s.GetRunning())
	rows.Add("ticks", fmt.Sprintf("%d fired, %d skipped, %d missed, %d refused", s.GetFired(), s.GetSkipped(), s.GetMissed(), s.GetRefused()))
	if len(s.GetRecent()) == 0 {
		return
	}
	rows.Add()
	rows.Add("TICK", "DECIDED", "LATE", "OUTCOME", "JOB", "")
	for _, t := range s.GetRecent() {
		late := time.Duration(t.GetAtMs()-t.GetTickMs()) * time.Millisecond
		rows.Add(when(t.GetTickMs()), when(t.GetAtMs()), late, t.GetOutcome(), t.GetJob(), t.GetReason())
	}
}
