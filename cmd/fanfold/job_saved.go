package main

import (
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) jobSaved() *cobra.Command {
	var request apiv1.ListSavedRequest
	cmd := a.onJob("saved ID", "Print what a task that is not done has saved for its next attempt", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		request.Id, request.Namespace = id, f.namespace
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListSaved, &request)
		if err != nil {
			return err
		}
		return a.printer().Message(answer, func(rows *output.Rows) {
			rows.Add("SUB-STEP", "VALUE")
			for _, s := range answer.GetSaved() {
				rows.Add(output.Dash(s.GetName()), shown(s.GetData()))
			}
		})
	})
	cmd.Flags().StringVar(&request.Step, "step", "", "the step (default: the only one)")
	cmd.Flags().Uint64Var(&request.Shard, "shard", 0, "item of an Each")
	return cmd
}

// shownMax bounds a value in a table; -o json has it whole.
const shownMax = 200

func shown(doc []byte) string {
	if note := encodedNote(doc); note != "" {
		return note
	}
	if len(doc) > shownMax {
		return string(doc[:shownMax]) + "..."
	}
	return string(doc)
}
