// Command fanfold-peer runs one workload of a harness that puts the same five on many task systems, against a
// cluster that is running already. README.md beside it says how to add it to the harness.
//
//	PEER_FANFOLD=127.0.0.1:7400,127.0.0.1:7500 fanfold-peer W1|W2|W3|W4|W5
//
// It prints one line of JSON. The cluster has to be fresh: W2 counts all jobs that have ended.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

const (
	concurrency = 64 // clients that submit, and slots of the worker
	startWait   = 30 * time.Second
)

// peer is what a workload has: a client, and the handlers' memory.
type peer struct {
	client *sdk.Client
	seen   *seen
}

var workloads = map[string]func(context.Context, *peer) (line, error){
	"W1": enqueue, "W2": drain, "W3": latency, "W4": chains, "W5": mapReduce,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fanfold-peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || workloads[args[0]] == nil {
		return errors.New("name one workload: W1, W2, W3, W4 or W5")
	}
	addresses := os.Getenv("PEER_FANFOLD")
	if addresses == "" {
		return errors.New("PEER_FANFOLD is not set: give the API addresses of the nodes, with commas between")
	}
	client, err := sdk.NewClient(sdk.ClientConfig{Addresses: strings.Split(addresses, ",")})
	if err != nil {
		return err
	}
	defer client.Close()
	p := &peer{client: client, seen: newSeen()}
	ctx := context.Background()
	ready, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	if _, err := p.succeeded(ready); err != nil { // waits for a leader
		return err
	}
	result, err := workloads[args[0]](ctx, p)
	if err != nil {
		return err
	}
	result["workload"], result["concurrency"] = args[0], concurrency
	return result.print(os.Stdout)
}

// work starts the worker; the function that it returns stops it.
func (p *peer) work(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	worker := sdk.NewWorker(p.client, sdk.WorkerConfig{
		Queues: map[string]int{"default": concurrency}, DrainTimeout: 5 * time.Second,
	})
	worker.Register(p.seen.tasks()...)
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// succeeded is how many jobs have ended well, with their results stored.
func (p *peer) succeeded(ctx context.Context) (int, error) {
	var done int
	err := p.client.Call(ctx, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		status, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
		if err != nil {
			return err
		}
		if status.Msg.GetLeaderId() == "" {
			return connect.NewError(connect.CodeUnavailable, errors.New("no leader yet"))
		}
		done = int(status.Msg.GetCounters().GetJobsSucceeded())
		return nil
	})
	return done, err
}
