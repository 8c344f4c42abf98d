// Package local runs an example against a cluster on this machine: worker and submitter in one process.
// Start the cluster with `fanfold dev`. The example docs/examples/order shows the same without help.
package local

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/fanfold/fanfold/sdk"
)

// Run starts a worker of the tasks, calls submit, and stops the worker. It ends the process with 1
// when anything fails.
func Run(submit func(ctx context.Context, client *sdk.Client) error, tasks ...sdk.Registrable) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, submit, tasks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, submit func(context.Context, *sdk.Client) error, tasks []sdk.Registrable) error {
	var config sdk.ClientConfig
	if list := os.Getenv("FANFOLD_ADDR"); list != "" {
		config.Addresses = strings.Split(list, ",")
	}
	client, err := sdk.NewClient(config)
	if err != nil {
		return err
	}
	defer client.Close()
	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 8}})
	worker.Register(tasks...)

	working, drain := context.WithCancel(ctx)
	worked := make(chan error, 1)
	go func() { worked <- worker.Run(working) }()
	err = submit(ctx, client)
	drain()
	if workerErr := <-worked; err == nil {
		err = workerErr
	}
	return err
}
