package main

import (
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
)

func (a *app) exitCodes() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "List the exit codes", Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return a.printer().Value(exit.Codes, func(rows *output.Rows) {
				for _, code := range exit.Codes {
					rows.Add(int(code.Code), code.Meaning)
				}
			})
		},
	}
}
