package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
)

// jobOptionFlags are the flags of `fanfold submit` about when a job begins, how long it is kept, and what goes with it.
type jobOptionFlags struct {
	startAt, partitionBy string
	runIn, retain        time.Duration
	headers              []string
}

func (f *jobOptionFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.startAt, "start-at", "", "nothing of the job begins before this time")
	cmd.Flags().DurationVar(&f.runIn, "run-in", 0, "the same, from now on")
	cmd.Flags().DurationVar(&f.retain, "retain", 0, "how long the job is kept after its end (default: by how it ended)")
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "NAME=VALUE for the job's handlers; may be given many times")
	cmd.Flags().StringVar(&f.partitionBy, "partition-by", "", "JSON pointer to a task's partition in its input, as /customer/id")
}

// fill writes the flags into a job.
func (f *jobOptionFlags) fill(job *apiv1.Job) (err error) {
	switch {
	case f.startAt != "" && f.runIn != 0:
		return exit.Usagef("--start-at and --run-in exclude each other")
	case f.runIn < 0 || f.retain < 0:
		return exit.Usagef("--run-in and --retain are not negative")
	case f.runIn > 0:
		job.NotBeforeMs = time.Now().Add(f.runIn).UnixMilli()
	default:
		if job.NotBeforeMs, err = moment("start-at", f.startAt); err != nil {
			return err
		}
	}
	job.RetainMs = f.retain.Milliseconds()
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok || name == "" {
			return exit.Usagef("--header %q has not the form NAME=VALUE", h)
		}
		if job.Options.Headers == nil {
			job.Options.Headers = make(map[string]string)
		}
		job.Options.Headers[name] = value
	}
	return nil
}

// eachTask changes the options of the steps that are one task.
func eachTask(g *dag.Graph, change func(*dag.Options)) {
	for i := range g.Steps {
		if g.Steps[i].Kind == dag.StepTask {
			change(&g.Steps[i].Options)
		}
	}
}
