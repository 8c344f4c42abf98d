package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) jobAttempts() *cobra.Command {
	var request apiv1.ListAttemptsRequest
	var shard int64
	var stacks bool
	cmd := a.onJob("attempts ID", "List the attempts of a job's tasks: who ran them, when, and why they ended", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		request.Id, request.Namespace = id, f.namespace
		if shard >= 0 {
			n := uint64(shard)
			request.Shard = &n
		}
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListAttempts, &request)
		if err != nil {
			return err
		}
		if token := answer.GetNextPageToken(); token != "" {
			fmt.Fprintf(a.err, "there are more: add --after %s\n", token)
		}
		err = a.printer().Message(answer, func(rows *output.Rows) {
			rows.Add("STEP", "SHARD", "ROUND", "ATTEMPT", "STATE", "WORKER", "BEGAN", "TOOK", "ERROR")
			for _, t := range answer.GetAttempts() {
				took, text := "-", "-"
				if t.GetEndedMs() > 0 {
					took = output.Duration(time.Duration(t.GetEndedMs()-t.GetBeganMs()) * time.Millisecond)
				}
				if t.GetErrorType() != "" {
					text = t.GetErrorType() + ": " + t.GetErrorMessage()
				}
				rows.Add(t.GetStep(), t.GetShard(), t.GetRound(), t.GetNumber(), t.GetState(), output.Dash(t.GetWorker()),
					time.UnixMilli(t.GetBeganMs()).UTC().Format(time.RFC3339), took, text)
			}
		})
		for _, t := range answer.GetAttempts() {
			if stacks && t.GetErrorStack() != "" && a.printer().Format == output.Table {
				fmt.Fprintf(a.out, "\n%s/%d attempt %d:\n%s\n", t.GetStep(), t.GetShard(), t.GetNumber(), strings.TrimSpace(t.GetErrorStack()))
			}
		}
		return err
	})
	cmd.Flags().StringVar(&request.Step, "step", "", "only attempts of this step")
	cmd.Flags().Int64Var(&shard, "shard", -1, "only attempts of this item or node (with --step)")
	cmd.Flags().BoolVar(&stacks, "stacks", false, "print the stacks of panics below")
	cmd.Flags().Uint32Var(&request.PageSize, "limit", 100, "how many attempts")
	cmd.Flags().StringVar(&request.PageToken, "after", "", "go on after an earlier list")
	return cmd
}
