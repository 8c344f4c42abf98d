package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) clusterAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add ID=RAFT/API", Short: "Add a node that is not yet a member", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			peer, err := parsePeer(args[0])
			if err != nil {
				return exit.With(exit.Usage, "", err)
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.AddNode,
				&apiv1.AddNodeRequest{Id: peer.id, RaftAddress: peer.raft, ApiAddress: peer.api})
			return a.done(err, "node %s is a member", peer.id)
		},
	}
}

func (a *app) clusterRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove ID", Short: "Remove a node for good", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.RemoveNode, &apiv1.RemoveNodeRequest{Id: args[0]})
			return a.done(err, "node %s is no longer a member", args[0])
		},
	}
}

func (a *app) clusterTransfer() *cobra.Command {
	return &cobra.Command{
		Use: "transfer [ID]", Short: "Hand leadership to another node", Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			request := &apiv1.TransferLeadershipRequest{}
			if len(args) == 1 {
				request.To = args[0]
			}
			_, err = remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.TransferLeadership, request)
			return a.done(err, "leadership is handed over")
		},
	}
}

// done notes on standard error that something was changed.
func (a *app) done(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
	return err
}
