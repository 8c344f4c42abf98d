package main

import (
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) clusterBudget() *cobra.Command {
	return &cobra.Command{
		Use: "budget [jobs=N][,bytes=SIZE] | none", Short: "Show or set what the whole cluster takes in", Args: arguments(cobra.MaximumNArgs(1)),
		Long: `Without an argument it shows the budget and what is used of it: unfinished jobs, and the bytes of the inputs and
results of all jobs, ended ones too. A submission above it is refused with OVER_BUDGET.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				budget, err := parseBudget(args[0])
				if err != nil {
					return err
				}
				_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetBudget, &apiv1.SetBudgetRequest{Budget: budget})
				return a.done(err, "the cluster's budget is %s", budgetText(budget))
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.GetBudget, &apiv1.GetBudgetRequest{})
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("budget", budgetText(answer.GetBudget()))
				rows.Add("unfinished jobs", answer.GetUsed().GetJobs())
				rows.Add("bytes of all jobs", output.Bytes(int64(answer.GetUsed().GetBytes())))
			})
		},
	}
}
