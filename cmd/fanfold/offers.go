package main

import (
	"context"
	"fmt"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// need is what a step asks of a worker. Types are the cluster's business: it refuses a job or a worker
// that disagrees with the others about a task's.
type need struct{ task, queue string }

// needsOf lists what a graph asks of workers, without repeats, in the order of its steps.
func needsOf(graph *dag.Graph) []need {
	var needs []need
	seen := make(map[need]bool)
	add := func(n need) {
		if !seen[n] {
			seen[n] = true
			needs = append(needs, n)
		}
	}
	for id := range graph.Len() {
		step := graph.Step(dag.StepID(id))
		queue := step.Options.WithDefaults().Queue
		add(need{step.Task, queue})
		if step.Merge != "" {
			add(need{step.Merge, queue})
		}
	}
	return needs
}

// noteMissing tells on standard error which needs no connected worker meets: the job waits for one, which
// is right when the workers are yet to come, and a riddle when a name was misspelt. It is a service beside
// the command: when the workers cannot be asked, it says nothing.
func (a *app) noteMissing(ctx context.Context, client *remote.Client, namespace string, needs []need) {
	if len(needs) == 0 {
		return
	}
	answer, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.ListWorkers, &apiv1.ListWorkersRequest{Namespace: namespace})
	if err != nil {
		return
	}
	for _, n := range needs {
		if missing := n.missing(answer.GetWorkers()); missing != "" {
			fmt.Fprintln(a.err, "note:", missing)
		}
	}
}

// missing says why no worker can run the task; "" when one can.
func (n need) missing(workers []*apiv1.Worker) string {
	elsewhere := ""
	for _, worker := range workers {
		for _, kind := range worker.GetKinds() {
			switch {
			case kind.GetName() != n.task:
			case !serves(worker, n.queue):
				elsewhere = worker.GetName()
			default:
				return ""
			}
		}
	}
	if elsewhere != "" {
		return fmt.Sprintf("worker %s runs task %q, but does not take from queue %q: add the queue to a worker", elsewhere, n.task, n.queue)
	}
	return fmt.Sprintf("no connected worker runs task %q: the job waits until one does (see `fanfold worker list`)", n.task)
}

func serves(worker *apiv1.Worker, queue string) bool {
	for _, q := range worker.GetQueues() {
		if q.GetQueue() == queue {
			return true
		}
	}
	return false
}
