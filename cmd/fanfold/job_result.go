package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) jobResult() *cobra.Command {
	var wait bool
	var step string
	var timeout time.Duration
	cmd := a.onJob("result ID", "Print the result of a job", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		ctx := cmd.Context()
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		if step != "" {
			return a.printStepResult(ctx, client, f.namespace, id, step)
		}
		if wait {
			return a.awaitJob(ctx, client, f.namespace, id)
		}
		answer, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.GetJob,
			&apiv1.GetJobRequest{Id: id, Namespace: f.namespace, WithResult: true})
		if err != nil {
			return err
		}
		if !ended(answer.GetJob().GetState()) {
			return exit.With(exit.Conflict, "add --wait",
				errNotEnded(answer.GetJob()))
		}
		return a.printResult(ctx, client, answer)
	})
	cmd.Flags().StringVar(&step, "step", "", "the result of this step, which has to be done")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end of the job")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time (default: never)")
	return cmd
}

// printStepResult prints what one step has returned; of an Each, the list.
func (a *app) printStepResult(ctx context.Context, client *remote.Client, namespace, id, step string) error {
	var document bytes.Buffer
	err := client.ReadValue(ctx, &document, &apiv1.ReadValueRequest{Id: id, Namespace: namespace, What: &apiv1.ReadValueRequest_Step{Step: step}})
	if err != nil {
		return err
	}
	if note := encodedNote(document.Bytes()); note != "" {
		fmt.Fprintln(a.err, "note: the value is", note)
	}
	_, err = fmt.Fprintf(a.out, "%s\n", document.Bytes())
	return err
}
