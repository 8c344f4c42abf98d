//go:build chaos

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
	"github.com/fanfold/fanfold/jepsen-lite/inject"
	"github.com/fanfold/fanfold/jepsen-lite/inside"
)

// surroundings adds the flags by which a node's surroundings are made to fail, and returns what puts the
// faults around its edges.
func surroundings(cmd *cobra.Command) func(context.Context, *cluster.Config, ownLogs) error {
	var address, first string
	f := cmd.Flags()
	f.StringVar(&address, inside.ListenFlag, "", "where to take orders for faults; none: no faults")
	f.StringVar(&first, inside.FirstFlag, "{}", "the order in force from the start")
	return func(ctx context.Context, c *cluster.Config, own ownLogs) error {
		if address == "" {
			return nil
		}
		var o inside.Order
		if err := json.Unmarshal([]byte(first), &o); err != nil {
			return fmt.Errorf("--%s: %w", inside.FirstFlag, err)
		}
		faults := inject.New(o)
		go func() {
			if err := faults.Serve(ctx, address); err != nil {
				slog.Error("orders for faults cannot be taken", "error", err)
			}
		}()
		return faults.Install(c, own)
	}
}

// faultCommands are the commands that only binaries with the faults have.
func faultCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use: inside.ProbeCommand, Hidden: true, Args: cobra.NoArgs, Short: "Succeed: the faults are built in",
		Run: func(*cobra.Command, []string) {},
	}}
}
