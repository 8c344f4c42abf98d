package main

import (
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) schedulePause() *cobra.Command {
	var note string
	cmd := a.onSchedule("pause NAME", "Stop the ticks of a schedule", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.PauseSchedule,
			&apiv1.PauseScheduleRequest{Namespace: namespace, Name: name, Note: note})
		return a.done(err, "schedule %s is paused", name)
	})
	cmd.Flags().StringVar(&note, "note", "", "why, for those who look at it later")
	return cmd
}

func (a *app) scheduleResume() *cobra.Command {
	return a.onSchedule("resume NAME", "Let the ticks of a paused schedule go on from now", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ResumeSchedule,
			&apiv1.ResumeScheduleRequest{Namespace: namespace, Name: name})
		return a.done(err, "schedule %s goes on", name)
	})
}

func (a *app) scheduleDelete() *cobra.Command {
	return a.onSchedule("delete NAME", "Remove a schedule; its jobs go on", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.DeleteSchedule,
			&apiv1.DeleteScheduleRequest{Namespace: namespace, Name: name})
		return a.done(err, "schedule %s is removed", name)
	})
}

func (a *app) scheduleTrigger() *cobra.Command {
	var tick string
	cmd := a.onSchedule("trigger NAME", "Make a job of a schedule at once, and print its id", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		ms, err := moment("tick", tick)
		if err != nil {
			return err
		}
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.TriggerSchedule,
			&apiv1.TriggerScheduleRequest{Namespace: namespace, Name: name, Id: ulid.Make().String(), TickMs: ms})
		if err != nil {
			return err
		}
		return a.printer().Message(answer, func(rows *output.Rows) { rows.Add(answer.GetId()) })
	})
	cmd.Flags().StringVar(&tick, "tick", "", "what the job is told as its tick (default: now)")
	return cmd
}

func (a *app) scheduleBackfill() *cobra.Command {
	var from, to string
	cmd := a.onSchedule("backfill NAME --from TIME [--to TIME]", "Make the jobs of past ticks that are not there", func(cmd *cobra.Command, client *remote.Client, namespace, name string) error {
		if err := required(cmd, "from"); err != nil {
			return err
		}
		q := &apiv1.BackfillScheduleRequest{Namespace: namespace, Name: name}
		var err error
		if q.FromMs, err = moment("from", from); err != nil {
			return err
		}
		if q.ToMs, err = moment("to", to); err != nil {
			return err
		}
		total := new(apiv1.BackfillScheduleResponse)
		for {
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.BackfillSchedule, q)
			if err != nil {
				return err
			}
			total.Created += answer.GetCreated()
			total.Existing += answer.GetExisting()
			total.Index = answer.GetIndex()
			if q.FromMs = answer.GetNextMs(); q.FromMs == 0 {
				break
			}
		}
		return a.printer().Message(total, func(rows *output.Rows) {
			rows.Add("CREATED", "EXISTING")
			rows.Add(total.GetCreated(), total.GetExisting())
		})
	})
	cmd.Flags().StringVar(&from, "from", "", "the first tick at this time or after")
	cmd.Flags().StringVar(&to, "to", "-1s", "and before this one, which is not in the future")
	return cmd
}
