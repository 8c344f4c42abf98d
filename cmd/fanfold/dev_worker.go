package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/docs/examples/invertedindex"
	"github.com/fanfold/fanfold/docs/examples/wordcount"
	"github.com/fanfold/fanfold/jepsen-lite/child"
	"github.com/fanfold/fanfold/sdk"
)

// devWorker is a worker process of the demo.
func (a *app) devWorker() *cobra.Command {
	var name, level string
	var slots int
	var ttl, pause time.Duration
	var withParent bool
	cmd := &cobra.Command{
		Use: "worker", Short: "Run a worker of the demo's tasks", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if withParent {
				var cancel context.CancelFunc
				ctx, cancel = child.WithParent(ctx)
				defer cancel()
			}
			logger, err := newLogger(a.err, level)
			if err != nil {
				return err
			}
			client, err := sdk.NewClient(sdk.ClientConfig{Addresses: remote.Addresses(a.address), Logger: logger})
			if err != nil {
				return err
			}
			defer client.Close()
			worker := sdk.NewWorker(client, sdk.WorkerConfig{
				Name: name, Queues: map[string]int{"default": slots}, LeaseTTL: ttl, Logger: logger,
			})
			worker.Register(
				wordcount.Plan, wordcount.Count.Bind(paused(pause, wordcount.CountSplit)), wordcount.Merge,
				invertedindex.List, invertedindex.Plan,
				invertedindex.Parse.Bind(paused(pause, invertedindex.IndexSplit)), invertedindex.Merge,
			)
			return worker.Run(ctx)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "name of the worker (default: host and process id)")
	flags.IntVar(&slots, "slots", 2, "how many tasks at once")
	flags.DurationVar(&ttl, "lease-ttl", 15*time.Second, "how long the tasks are kept while the worker is silent")
	flags.DurationVar(&pause, "pause", 0, "how long to wait after each split of a map")
	flags.StringVar(&level, "log", "info", "log level: debug, info, warn, error")
	flags.BoolVar(&withParent, child.ParentFlag, false, "stop when standard input ends")
	_ = flags.MarkHidden(child.ParentFlag)
	return cmd
}

// paused makes a task slower, so that a demo on a small folder can be watched.
func paused[In, Out any](pause time.Duration, fn sdk.Func[In, Out]) sdk.Func[In, Out] {
	if pause <= 0 {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		out, err := fn(ctx, in)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		return out, err
	}
}
