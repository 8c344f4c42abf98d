package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) batch() *cobra.Command {
	return group("batch", "Groups of jobs with callbacks", a.batchCreate(), a.batchClose(), a.batchReopen(), a.batchCancel(),
		a.batchShow(), a.batchList(), a.batchJobs(), a.batchPurge())
}

// onBatch makes a command that takes one batch id.
func (a *app) onBatch(use, short string, do func(cmd *cobra.Command, client *remote.Client, namespace, id string) error) *cobra.Command {
	return a.onJob(use, short, func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		return do(cmd, client, f.namespace, id)
	})
}

func (a *app) batchCreate() *cobra.Command {
	var request apiv1.CreateBatchRequest
	var success, complete, death, data, queue string
	var expires, retain time.Duration
	cmd := &cobra.Command{
		Use: "create [--on-success TASK] [--on-complete TASK] [--on-death TASK]", Short: "Create an open batch and print its id",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if request.Id == "" {
				request.Id = ulid.Make().String()
			} else if _, err := ulid.ParseStrict(request.Id); err != nil {
				return exit.Usagef("--id %q is not a ULID (26 characters): %v", request.Id, err)
			}
			document, err := a.readInput(data)
			if err != nil {
				return err
			}
			for _, cb := range []struct {
				task string
				to   **apiv1.BatchCallback
			}{{success, &request.OnSuccess}, {complete, &request.OnComplete}, {death, &request.OnDeath}} {
				if cb.task == "" {
					continue
				}
				b := dag.NewBuilder(cb.task)
				b.Output(b.Task(cb.task, dag.Step{Task: cb.task, Input: dag.Input(), Options: dag.Options{Queue: queue}}))
				graph, err := b.Build()
				if err != nil {
					return exit.With(exit.Usage, "", err)
				}
				*cb.to = &apiv1.BatchCallback{Graph: dag.Encode(graph), Data: document}
			}
			if expires < 0 || retain < 0 {
				return exit.With(exit.Usage, "", errors.New("--expires-in and --retain are not negative"))
			}
			if expires > 0 {
				request.ExpiresMs = time.Now().Add(expires).UnixMilli()
			}
			request.RetainMs = retain.Milliseconds()
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.CreateBatch, &request)
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) { rows.Add(answer.GetId()) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Id, "id", "", "batch id (a ULID); the same id again is the same batch")
	flags.StringVar(&request.Namespace, "namespace", "", `namespace (default "default")`)
	flags.StringVar(&request.Name, "name", "", "name for people")
	flags.StringVar(&success, "on-success", "", "task to run when all jobs have succeeded")
	flags.StringVar(&complete, "on-complete", "", "task to run when all jobs have ended")
	flags.StringVar(&death, "on-death", "", "task to run when the first job has failed")
	flags.StringVar(&queue, "queue", "", `queue of the callbacks (default "default")`)
	flags.StringVar(&data, "data", "null", "data of the callbacks: JSON, @FILE or -")
	flags.DurationVar(&expires, "expires-in", 0, "cancel what has not ended after this time (default: never)")
	flags.DurationVar(&retain, "retain", 0, "how long the batch is kept after its end (default 168h)")
	return cmd
}

func (a *app) batchClose() *cobra.Command {
	return a.onBatch("close ID", "No more jobs come from outside: decide when the last has ended", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.CloseBatch, &apiv1.CloseBatchRequest{Id: id, Namespace: namespace})
		return a.done(err, "batch %s is %s", id, answer.GetState())
	})
}

func (a *app) batchReopen() *cobra.Command {
	return a.onBatch("reopen ID", "Take close back, while a job of the batch lives", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ReopenBatch, &apiv1.ReopenBatchRequest{Id: id, Namespace: namespace})
		return a.done(err, "batch %s is %s", id, answer.GetState())
	})
}

func (a *app) batchCancel() *cobra.Command {
	var reason string
	cmd := a.onBatch("cancel ID", "Cancel the jobs of a batch that live", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.CancelBatch, &apiv1.CancelBatchRequest{Id: id, Namespace: namespace, Reason: reason})
		return a.done(err, "batch %s is %s", id, answer.GetState())
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who look at the jobs later")
	return cmd
}

func (a *app) batchPurge() *cobra.Command {
	return a.onBatch("purge ID", "Remove a batch that has ended; its jobs stay", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		_, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.PurgeBatch, &apiv1.PurgeBatchRequest{Id: id, Namespace: namespace})
		return a.done(err, "batch %s is removed", id)
	})
}

func (a *app) batchShow() *cobra.Command {
	return a.onBatch("show ID", "Show a batch: its state, its counts, its callbacks", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.GetBatch, &apiv1.GetBatchRequest{Id: id, Namespace: namespace})
		if err != nil {
			return err
		}
		b := answer.GetBatch()
		return a.printer().Message(answer, func(rows *output.Rows) {
			rows.Add("batch", b.GetId())
			rows.Add("name", b.GetName())
			rows.Add("state", b.GetState())
			rows.Add("jobs", b.GetTotal())
			rows.Add("live", b.GetLive())
			rows.Add("succeeded", b.GetSucceeded())
			rows.Add("failed", b.GetFailed())
			rows.Add("canceled", b.GetCanceled())
			for _, row := range [][2]string{{"reason", b.GetCancelReason()}, {"on death", b.GetDeathJob()}, {"on complete", b.GetCompleteJob()},
				{"on success", b.GetSuccessJob()}, {"callback", b.GetCallbackError()}} {
				if row[1] != "" {
					rows.Add(row[0], row[1])
				}
			}
		})
	})
}

func (a *app) batchList() *cobra.Command {
	var request apiv1.ListBatchesRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List batches, newest first", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			request.State = strings.ToUpper(request.State)
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListBatches, &request)
			if err != nil {
				return err
			}
			if token := answer.GetNextPageToken(); token != "" {
				fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("ID", "NAME", "STATE", "JOBS", "LIVE", "SUCCEEDED", "FAILED", "CANCELED", "AGE")
				for _, b := range answer.GetBatches() {
					rows.Add(b.GetId(), b.GetName(), b.GetState(), b.GetTotal(), b.GetLive(), b.GetSucceeded(), b.GetFailed(), b.GetCanceled(),
						output.Age(b.GetCreatedMs(), time.Now()))
				}
			})
		},
	}
	cmd.Flags().StringVar(&request.Namespace, "namespace", "", `namespace (default "default")`)
	cmd.Flags().StringVar(&request.State, "state", "", "only batches in this state: OPEN, CLOSED, COMPLETE, SUCCESS, CANCELED, EXPIRED")
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 50, "how many batches")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	cmd.Flags().BoolVar(&request.Stale, "stale", false, "the answering node's own view: works without a leader")
	return cmd
}

func (a *app) batchJobs() *cobra.Command {
	var state, after string
	var limit uint32
	cmd := a.onBatch("jobs ID", "List the jobs of a batch, oldest first", func(cmd *cobra.Command, client *remote.Client, namespace, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListBatchJobs,
			&apiv1.ListBatchJobsRequest{Id: id, Namespace: namespace, State: strings.ToUpper(state), PageSize: limit, PageToken: after})
		if err != nil {
			return err
		}
		if token := answer.GetNextPageToken(); token != "" {
			fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
		}
		return a.printer().Message(answer, func(rows *output.Rows) {
			rows.Add("ID", "STATE")
			for _, j := range answer.GetJobs() {
				rows.Add(j.GetId(), j.GetState())
			}
		})
	})
	cmd.Flags().StringVar(&state, "state", "", "only jobs in this state: RUNNING, SUCCESS, FAILURE, CANCELED")
	cmd.Flags().Uint32Var(&limit, "limit", 100, "how many jobs")
	cmd.Flags().StringVar(&after, "after", "", "go on after an earlier list")
	return cmd
}
