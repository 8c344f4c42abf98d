package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster/webhook"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) webhookEndpoint() *cobra.Command {
	return group("endpoint", "Receivers that events are delivered to", a.webhookEndpointSet(), a.webhookEndpointList(),
		a.webhookChange("pause", "Hold the deliveries; new ones wait", "is paused", endpointName),
		a.webhookChange("resume", "Deliver again, also after a 410", "is active", endpointName),
		a.webhookEndpointTest(),
		a.webhookChange("delete", "Remove an endpoint with its deliveries", "is deleted", endpointName))
}

func (a *app) webhookEndpointSet() *cobra.Command {
	var namespace string
	var endpoint apiv1.WebhookEndpoint
	var secrets []string
	var rotate bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "set NAME --url URL [--event EVENT]... [--workflow NAME]...",
		Short: "Make an endpoint, or change one: where events go, and which",
		Long: `Makes a webhook endpoint, or changes the one of this name. Every event of the namespace that it wants is posted to the
URL, signed as Standard Webhooks has it, until the receiver answers 2xx or three days are over.

A new endpoint is given a secret, which is printed, this once; --secret gives your own. With --rotate a new secret comes
first and deliveries are signed by the old one too.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "url"); err != nil {
				return err
			}
			keys, err := a.readSecrets(secrets)
			if err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			made := ""
			if len(keys) == 0 {
				known, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListWebhooks, &apiv1.ListWebhooksRequest{Namespace: namespace})
				if err != nil {
					return err
				}
				if rotate || !hasEndpoint(known, args[0]) { // made here: an answer that is lost would take the secret with it
					_, made = webhook.NewSecret()
					keys = []string{made}
				}
			}
			endpoint.TimeoutMs = millis(timeout)
			if _, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetWebhook, &apiv1.SetWebhookRequest{
				Name: endpointName(namespace, args[0]), Endpoint: &endpoint, Secrets: keys, Rotate: rotate}); err != nil {
				return err
			}
			if made == "" {
				return a.done(nil, "endpoint %s is set; its secrets are as they were given", args[0])
			}
			fmt.Fprintln(a.err, "the receiver's secret, which is not shown again:")
			return a.printer().Value(map[string]string{"secret": made}, func(rows *output.Rows) { rows.Add(made) })
		},
	}
	namespaceFlag(cmd, &namespace)
	flags := cmd.Flags()
	flags.StringVar(&endpoint.Url, "url", "", "where to post (required)")
	flags.StringSliceVar(&endpoint.Events, "event", nil, "job.success, job.failure, job.canceled, task.dead (default: all)")
	flags.StringSliceVar(&endpoint.Workflows, "workflow", nil, "only events of these workflows (default: all)")
	flags.StringArrayVar(&secrets, "secret", nil, "secret, as @FILE or - for standard input; up to two")
	flags.BoolVar(&rotate, "rotate", false, "a new secret; the first one stays as the second")
	flags.Uint32Var(&endpoint.Parallel, "parallel", 0, "deliveries under way at once (default 4, at most 64)")
	flags.DurationVar(&timeout, "timeout", 0, "of one attempt (default 15s, at most 1m)")
	return cmd
}

func hasEndpoint(known *apiv1.ListWebhooksResponse, name string) bool {
	for _, p := range known.GetEndpoints() {
		if p.GetName() == name {
			return true
		}
	}
	return false
}

func (a *app) webhookEndpointList() *cobra.Command {
	return a.webhookList("endpoints", func(answer *apiv1.ListWebhooksResponse) {
		answer.Sources = nil
		a.noteEndpoints(answer.GetEndpoints())
	}, func(rows *output.Rows, answer *apiv1.ListWebhooksResponse) {
		rows.Add("ENDPOINT", "STATE", "URL", "EVENTS", "WORKFLOWS", "PENDING", "DELIVERED", "FAILED", "LAST")
		for _, p := range answer.GetEndpoints() {
			e := p.GetEndpoint()
			rows.Add(p.GetName(), stateOf(p.GetPaused(), p.GetDisabled()), e.GetUrl(), all(e.GetEvents()), all(e.GetWorkflows()),
				p.GetPending(), p.GetDelivered(), p.GetFailed(), lastOf(p.GetLastStatus(), p.GetLastError()))
		}
	})
}

// noteEndpoints says on standard error which of them do not get all events.
func (a *app) noteEndpoints(endpoints []*apiv1.WebhookEndpointStatus) {
	for _, p := range endpoints {
		switch {
		case p.GetDisabled() != "":
			fmt.Fprintf(a.err, "note: %s is disabled: %s; `fanfold webhook endpoint resume %s` undoes that\n", p.GetName(), p.GetDisabled(), p.GetName())
		case p.GetDropped() > 0:
			fmt.Fprintf(a.err, "note: %d events were not delivered to %s, because too many were pending\n", p.GetDropped(), p.GetName())
		}
	}
}

func (a *app) webhookEndpointTest() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Deliver an event of type webhook.test, and print the delivery's id", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ChangeWebhook,
				&apiv1.ChangeWebhookRequest{Name: endpointName(namespace, args[0]), Change: "test"})
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) { rows.Add(answer.GetDelivery()) })
		},
	}
	namespaceFlag(cmd, &namespace)
	return cmd
}
