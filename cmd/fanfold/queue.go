package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) queue() *cobra.Command { return group("queue", "See the queues", a.queueList()) }

func (a *app) queueList() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the queues: what waits, what runs, and who could take more", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListQueues,
				&apiv1.ListQueuesRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			for _, queue := range answer.GetQueues() {
				if queue.GetPending() > 0 && queue.GetSlots() == 0 {
					fmt.Fprintf(a.err, "note: %d tasks wait in %q and no worker takes from it\n", queue.GetPending(), queue.GetName())
				}
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("QUEUE", "PENDING", "STARTED", "SLOTS", "FREE")
				for _, queue := range answer.GetQueues() {
					rows.Add(queue.GetName(), queue.GetPending(), queue.GetStarted(), queue.GetSlots(), queue.GetFree())
				}
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}
