package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/jepsen-lite/cli"
)

// chaos is jepsen-lite in this binary.
func (a *app) chaos() *cobra.Command {
	cmd := cli.Command("chaos", "chaos")
	for _, sub := range cmd.Commands() {
		run := sub.RunE
		if run == nil {
			continue
		}
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			err := run(cmd, args)
			var coded *cli.Error
			if errors.As(err, &coded) {
				return exit.With(exit.Code(coded.Code), "", err)
			}
			return err
		}
	}
	return cmd
}
