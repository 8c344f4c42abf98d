package main

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// hashWait is how long a node may take to reach the index whose hash is wanted.
const hashWaitMS = 30_000

func (a *app) clusterHash() *cobra.Command {
	return &cobra.Command{
		Use: "hash", Short: "Compare the state hashes of all nodes at one log index", Args: arguments(cobra.NoArgs),
		Long: "Writes a marker to the log; every node computes the hash of its state at that index. Exits with 74 when two differ.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			marker, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.HashState, &apiv1.HashStateRequest{})
			if err != nil {
				return err
			}
			status, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.ClusterStatus, &apiv1.ClusterStatusRequest{})
			if err != nil {
				return err
			}
			var hashes []*apiv1.NodeHashResponse
			var missing []error
			for _, node := range status.GetNodes() {
				answer, err := client.At(node.GetApiAddress()).NodeHash(ctx, connect.NewRequest(
					&apiv1.NodeHashRequest{Index: marker.GetIndex(), WaitMs: hashWaitMS}))
				if err != nil {
					missing = append(missing, fmt.Errorf("node %s: %w", node.GetId(), err))
					continue
				}
				answer.Msg.NodeId = node.GetId()
				hashes = append(hashes, answer.Msg)
			}
			if err := a.printHashes(hashes); err != nil {
				return err
			}
			return judgeHashes(marker.GetIndex(), hashes, missing)
		},
	}
}

func (a *app) printHashes(hashes []*apiv1.NodeHashResponse) error {
	type row struct {
		Node  string `json:"node_id"`
		Index uint64 `json:"index"`
		Hash  string `json:"hash"`
		Known bool   `json:"known"`
	}
	all := make([]row, 0, len(hashes))
	for _, h := range hashes {
		all = append(all, row{h.GetNodeId(), h.GetIndex(), h.GetHash(), h.GetKnown()})
	}
	return a.printer().Value(all, func(rows *output.Rows) {
		rows.Add("NODE", "INDEX", "HASH")
		for _, r := range all {
			rows.Add(r.Node, r.Index, output.Dash(r.Hash))
		}
	})
}

func judgeHashes(index uint64, hashes []*apiv1.NodeHashResponse, missing []error) error {
	for _, h := range hashes {
		if !h.GetKnown() {
			missing = append(missing, fmt.Errorf("node %s does not know its hash at index %d", h.GetNodeId(), index))
		} else if h.GetHash() != hashes[0].GetHash() {
			return exit.With(exit.Divergence, "stop the cluster and keep all data directories: this is a bug to be reported",
				fmt.Errorf("the states of %s and %s differ at index %d", hashes[0].GetNodeId(), h.GetNodeId(), index))
		}
	}
	return exit.With(exit.Unavailable, "repeat the command when all nodes are up", errors.Join(missing...))
}
