package main

import (
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) schedulePreview() *cobra.Command {
	var times scheduleTimes
	var namespace, from string
	var count uint32
	cmd := &cobra.Command{
		Use:   "preview (NAME | --cron EXPR [--zone ZONE] | --every DURATION)",
		Short: "List the next ticks of a schedule, or of one that is not set yet",
		Args:  arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			loose := times.cron != "" || times.every != 0
			if loose == (len(args) == 1) {
				return exit.Usagef("preview takes either the name of a schedule, or --cron or --every")
			}
			q := &apiv1.PreviewScheduleRequest{Namespace: namespace, Count: count}
			if loose {
				m, err := times.message(namespace, "")
				if err != nil {
					return err
				}
				q.What = &apiv1.PreviewScheduleRequest_Schedule{Schedule: m}
			} else {
				q.What = &apiv1.PreviewScheduleRequest_Name{Name: args[0]}
			}
			var err error
			if q.FromMs, err = moment("from", from); err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.PreviewSchedule, q)
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("TICK", "UTC", "FIRED")
				for _, t := range answer.GetTicks() {
					rows.Add(t.GetLocal(), when(t.GetTickMs()), when(t.GetDueMs()))
				}
			})
		},
	}
	times.add(cmd)
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().StringVar(&from, "from", "", "ticks from this time on (default: now)")
	cmd.Flags().Uint32Var(&count, "count", 10, "how many, up to 1,000")
	return cmd
}
