package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) webhookSource() *cobra.Command {
	return group("source", "Messages that senders post, and that become jobs", a.webhookSourceSet(), a.webhookSourceList(),
		a.webhookChange("pause", "Answer senders that they come again later", "is paused", sourceName),
		a.webhookChange("resume", "Take messages again", "takes messages", sourceName),
		a.webhookChange("delete", "Remove a source; its jobs go on", "is deleted", sourceName))
}

func (a *app) webhookSourceSet() *cobra.Command {
	var f submitFlags
	var source apiv1.WebhookSource
	var secrets []string
	var rotate bool
	var tolerance, retain time.Duration
	cmd := &cobra.Command{
		Use:   "set NAME (GRAPH | --task TASK) [--scheme SCHEME] --secret @FILE",
		Short: "Make a source, or change one: what its messages run, and how they are signed",
		Long: `Makes a webhook source, or changes the one of this name. Senders then post to http://NODE/hooks/NAMESPACE/NAME. Each
message that is signed by a secret becomes a job, once for each of the sender's ids. The job's input is
{"id","source","event","received_ms","payload"}; payload is the message's body.

Secrets are stored in the cluster's state and are never shown. Without --secret those that there are stay; with --rotate
the given one comes first and the one that was first stays valid as the second.`,
		Args: arguments(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			graph, err := a.readGraph(f, args[1:])
			if err != nil {
				return err
			}
			keys, err := a.readSecrets(secrets)
			if err != nil {
				return err
			}
			if rotate && len(keys) != 1 {
				return exit.Usagef("--rotate goes with one --secret, the new one")
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			source.Graph, source.ToleranceMs, source.RetainMs = dag.Encode(graph), millis(tolerance), millis(retain)
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.SetWebhook, &apiv1.SetWebhookRequest{
				Name: sourceName(f.namespace, args[0]), Source: &source, Secrets: keys, Rotate: rotate})
			namespace := f.namespace
			if namespace == "" {
				namespace = "default"
			}
			return a.done(err, "senders post to /hooks/%s/%s on any node", namespace, args[0])
		},
	}
	namespaceFlag(cmd, &f.namespace)
	flags := cmd.Flags()
	flags.StringVar(&f.task, "task", "", "run one task of this name instead of a graph")
	flags.StringVar(&f.queue, "queue", "", `queue of the task (with --task; default "default")`)
	flags.StringVar(&source.Scheme, "scheme", "standard", "how senders sign: standard, github or stripe")
	flags.StringArrayVar(&secrets, "secret", nil, "secret, as @FILE or - for standard input; up to two")
	flags.BoolVar(&rotate, "rotate", false, "keep the first secret as the second")
	flags.DurationVar(&tolerance, "tolerance", 0, "how far a sender's time may be off (default 5m)")
	flags.Uint32Var(&source.MaxBytes, "max-bytes", 0, "largest body (default 1 MiB, at most 25 MiB)")
	flags.StringSliceVar(&source.Events, "event", nil, "only messages of these types (default: all but GitHub's ping)")
	flags.DurationVar(&retain, "retain", 0, "how long a job is kept after its end (default: as for any job)")
	return cmd
}

func (a *app) webhookSourceList() *cobra.Command {
	return a.webhookList("sources", func(answer *apiv1.ListWebhooksResponse) { answer.Endpoints = nil },
		func(rows *output.Rows, answer *apiv1.ListWebhooksResponse) {
			rows.Add("SOURCE", "STATE", "SCHEME", "RUNS", "EVENTS", "SECRETS", "RECEIVED", "DUPLICATES", "LAST")
			for _, s := range answer.GetSources() {
				rows.Add(s.GetName(), stateOf(s.GetPaused(), ""), s.GetSource().GetScheme(), s.GetWorkflow(), all(s.GetSource().GetEvents()),
					s.GetSecrets(), s.GetReceived(), s.GetDuplicates(), output.Age(s.GetLastMs(), time.Now()))
			}
		})
}

// lastOf is the last attempt of an endpoint or a delivery, for people.
func lastOf(status uint32, err string) string {
	switch {
	case status != 0:
		return fmt.Sprint(status)
	case err != "":
		return "no answer"
	}
	return "-"
}
