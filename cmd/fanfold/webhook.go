package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) webhook() *cobra.Command {
	return group("webhook", "Messages that become jobs, and events that are delivered", a.webhookSource(), a.webhookEndpoint(), a.webhookDelivery())
}

// hookName names a source or an endpoint in a request.
type hookName func(namespace, name string) *apiv1.WebhookName

func sourceName(namespace, name string) *apiv1.WebhookName {
	return &apiv1.WebhookName{Namespace: namespace, Kind: &apiv1.WebhookName_Source{Source: name}}
}

func endpointName(namespace, name string) *apiv1.WebhookName {
	return &apiv1.WebhookName{Namespace: namespace, Kind: &apiv1.WebhookName_Endpoint{Endpoint: name}}
}

// webhookChange makes the command that pauses, resumes or deletes one.
func (a *app) webhookChange(verb, short, done string, of hookName) *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ChangeWebhook,
				&apiv1.ChangeWebhookRequest{Name: of(namespace, args[0]), Change: verb})
			return a.done(err, "%s %s", args[0], done)
		},
	}
	namespaceFlag(cmd, &namespace)
	return cmd
}

// webhookList makes the command that lists the sources, or the endpoints: keep takes the others out of the answer.
func (a *app) webhookList(what string, keep func(*apiv1.ListWebhooksResponse), table func(*output.Rows, *apiv1.ListWebhooksResponse)) *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the " + what + ", with their counts", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListWebhooks, &apiv1.ListWebhooksRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			keep(answer)
			return a.printer().Message(answer, func(rows *output.Rows) { table(rows, answer) })
		},
	}
	namespaceFlag(cmd, &namespace)
	return cmd
}

func namespaceFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "namespace", "", `namespace (default "default")`)
}

// readSecrets reads the values of --secret: @FILE, or - for standard input. A secret on the command line would be seen
// by everybody on the machine, and kept in the shell's history.
func (a *app) readSecrets(values []string) (secrets []string, err error) {
	for _, v := range values {
		name, ok := strings.CutPrefix(v, "@")
		if !ok && v != "-" {
			return nil, exit.With(exit.Usage, "put it into a file and give --secret @FILE, or --secret - and write it to standard input",
				errors.New("a secret does not belong on a command line"))
		}
		if v == "-" {
			name = v
		}
		text, err := a.readFile(name)
		if err != nil {
			return nil, exit.With(exit.Usage, "", err)
		}
		secrets = append(secrets, strings.TrimSpace(string(text)))
	}
	return secrets, nil
}

// all is a list for people; none means all.
func all(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ",")
}

// stateOf is how a source or an endpoint stands.
func stateOf(paused bool, disabled string) string {
	switch {
	case disabled != "":
		return "DISABLED"
	case paused:
		return "PAUSED"
	}
	return "ACTIVE"
}

func millis(d time.Duration) int64 { return d.Milliseconds() }
