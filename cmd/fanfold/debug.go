package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
)

func (a *app) debug() *cobra.Command {
	return group("debug", "Look into the data of a stopped node", a.debugReplay())
}

func (a *app) debugReplay() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "replay --data DIR", Short: "Replay a stopped node's log into an empty state and print its hashes",
		Long: `Applies the whole log of a stopped node to an empty state in memory, and prints the state hash at each
marker that ` + "`fanfold cluster hash`" + ` wrote. They must be those that the nodes had. It needs the log from its first entry:
start the node with a --trailing-logs larger than the log.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "data"); err != nil {
				return err
			}
			logger, err := newLogger(a.err, "warn")
			if err != nil {
				return err
			}
			replayed, err := cluster.ReplayLog(cmd.Context(), data, logger)
			if err != nil {
				return err
			}
			type row struct {
				Index uint64 `json:"index"`
				Hash  string `json:"hash"`
			}
			all := make([]row, 0, len(replayed.Hashes))
			for _, h := range replayed.Hashes {
				all = append(all, row{h.Index, h.Hash})
			}
			return a.printer().Value(all, func(rows *output.Rows) {
				rows.Add("INDEX", "HASH")
				for _, r := range all {
					rows.Add(r.Index, r.Hash)
				}
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory of the node (required)")
	return cmd
}

// replay returns the hash that a replay of a stopped node's log gives at one marker.
func replay(ctx context.Context, data string, index uint64) (string, error) {
	replayed, err := cluster.ReplayLog(ctx, data, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	for _, h := range replayed.Hashes {
		if h.Index == index {
			return h.Hash, nil
		}
	}
	return "", exit.With(exit.Corruption, "", fmt.Errorf("the log, from %d to %d, has no hash marker at index %d",
		replayed.First, replayed.Last, index))
}
