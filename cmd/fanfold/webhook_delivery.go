package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) webhookDelivery() *cobra.Command {
	return group("delivery", "Events on their way to an endpoint, and the last 1,000 that ended", a.webhookDeliveryList(), a.webhookDeliveryShow(), a.webhookDeliveryReplay())
}

func (a *app) webhookDeliveryList() *cobra.Command {
	var request apiv1.ListDeliveriesRequest
	cmd := &cobra.Command{
		Use: "list ENDPOINT", Short: "List an endpoint's deliveries, newest first", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			request.Endpoint, request.State = args[0], strings.ToUpper(request.State)
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListDeliveries, &request)
			if err != nil {
				return err
			}
			if token := answer.GetNextPageToken(); token != "" {
				fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("ID", "EVENT", "JOB", "STATE", "ATTEMPTS", "LAST", "NEXT", "AGE")
				for _, d := range answer.GetDeliveries() {
					rows.Add(d.GetId(), d.GetEvent(), output.Dash(d.GetJob()), d.GetState(), d.GetAttempts(), lastOf(d.GetLastStatus(), d.GetLastError()),
						nextOf(d), output.Age(d.GetCreatedMs(), time.Now()))
				}
			})
		},
	}
	namespaceFlag(cmd, &request.Namespace)
	cmd.Flags().StringVar(&request.State, "state", "", "only deliveries in this state: PENDING, DELIVERED, FAILED")
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 50, "how many deliveries")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	return cmd
}

// nextOf is how long it is to the next attempt.
func nextOf(d *apiv1.Delivery) string {
	if d.GetState() != "PENDING" {
		return "-"
	}
	return output.Duration(time.Until(time.UnixMilli(d.GetDueMs())))
}

func (a *app) webhookDeliveryShow() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a delivery with its body", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListDeliveries,
				&apiv1.ListDeliveriesRequest{Namespace: namespace, Id: args[0]})
			if err != nil {
				return err
			}
			d := answer.GetDeliveries()[0]
			return a.printer().Message(d, func(rows *output.Rows) {
				rows.Add("id", d.GetId())
				rows.Add("endpoint", d.GetEndpoint())
				rows.Add("event", d.GetEvent())
				rows.Add("job", output.Dash(d.GetJob()))
				rows.Add("state", d.GetState())
				rows.Add("attempts", d.GetAttempts())
				rows.Add("last", lastOf(d.GetLastStatus(), d.GetLastError()))
				rows.Add("error", output.Dash(d.GetLastError()))
				rows.Add("next", nextOf(d))
				rows.Add("body", string(d.GetBody()))
			})
		},
	}
	namespaceFlag(cmd, &namespace)
	return cmd
}

func (a *app) webhookDeliveryReplay() *cobra.Command {
	var namespace, endpoint string
	var since time.Duration
	cmd := &cobra.Command{
		Use: "replay (ID | --failed ENDPOINT [--since 24h])", Short: "Deliver again, under the same id: one, or all that have failed", Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (endpoint != "") {
				return exit.Usagef("replay takes either a delivery's id or --failed ENDPOINT")
			}
			request := &apiv1.ReplayDeliveryRequest{Namespace: namespace, Endpoint: endpoint}
			if len(args) == 1 {
				request.Id = args[0]
			}
			if since > 0 {
				request.SinceMs = time.Now().Add(-since).UnixMilli()
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ReplayDelivery, request)
			return a.done(err, "%d deliveries are due now", answer.GetReplayed())
		},
	}
	namespaceFlag(cmd, &namespace)
	cmd.Flags().StringVar(&endpoint, "failed", "", "all of this endpoint that have failed")
	cmd.Flags().DurationVar(&since, "since", 0, "with --failed: only those that are not older")
	return cmd
}
