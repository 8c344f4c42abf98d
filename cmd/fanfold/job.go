package main

import (
	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
)

func (a *app) job() *cobra.Command {
	return group("job", "See and steer jobs", a.jobList(), a.jobShow(), a.jobWatch(), a.jobResult(), a.jobTasks(), a.jobAttempts(), a.jobLogs(), a.jobSaved(),
		a.jobCancel(), a.jobRetry(), a.jobPurge())
}

// jobFlags are what most job commands take.
type jobFlags struct{ namespace string }

// onJob makes a command that takes one job id.
func (a *app) onJob(use, short string, do func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error) *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return do(cmd, client, f, args[0])
		},
	}
	cmd.Flags().StringVar(&f.namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}
