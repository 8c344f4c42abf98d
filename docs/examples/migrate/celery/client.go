package celery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// submitAndWait is delay and get.
func submitAndWait(ctx context.Context, client *sdk.Client) (Receipt, error) {
	job, err := ProcessOrder.Submit(ctx, client, Order{ID: 123})
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return job.Await(ctx)
}

// state is AsyncResult(id).state, and knows an unknown id from a waiting job.
func state(ctx context.Context, client *sdk.Client, id string) (string, error) {
	status, err := ProcessOrder.Attach(client, id).Status(ctx)
	if errors.Is(err, sdk.ErrNotFound) {
		return "", fmt.Errorf("nobody has submitted %s", id)
	}
	if err != nil {
		return "", err
	}
	return status.State, nil
}

// work is celery -A proj worker -Q default,mail -c 8.
func work(ctx context.Context, client *sdk.Client) error {
	worker := sdk.NewWorker(client, sdk.WorkerConfig{Queues: map[string]int{"default": 8, "mail": 2}})
	worker.Register(ProcessOrder, Chain, Group, Chord, Chunks)
	return worker.Run(ctx) // blocks; drains when ctx ends
}
