//go:build !chaos

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cluster"
)

// surroundings leaves a node's edges as they are: the faults are in binaries built with the tag chaos.
func surroundings(*cobra.Command) func(context.Context, *cluster.Config, ownLogs) error {
	return func(context.Context, *cluster.Config, ownLogs) error { return nil }
}

// faultCommands are the commands that only binaries with the faults have.
func faultCommands() []*cobra.Command { return nil }
