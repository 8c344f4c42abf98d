package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) worker() *cobra.Command { return group("worker", "See the workers", a.workerList()) }

func (a *app) workerList() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the connected workers and their slots", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListWorkers,
				&apiv1.ListWorkersRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("SESSION", "NAME", "SLOTS USED", "OPENED", "STATE", "TASKS")
				for _, worker := range answer.GetWorkers() {
					rows.Add(worker.GetSession(), worker.GetName(), slots(worker), output.Age(worker.GetOpenedMs(), time.Now()),
						workerState(worker), kinds(worker))
				}
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

// slots lists used/all slots by queue; of slots that all queues share, used/all and each queue's weight.
func slots(worker *apiv1.Worker) string {
	if worker.GetSlots() > 0 {
		return sharedSlots(worker)
	}
	used := make(map[string]uint32)
	for _, queue := range worker.GetUsed() {
		used[queue.GetQueue()] = queue.GetSlots()
	}
	var all []string
	for _, queue := range worker.GetQueues() {
		all = append(all, fmt.Sprintf("%s %d/%d", queue.GetQueue(), used[queue.GetQueue()], queue.GetSlots()))
	}
	return strings.Join(all, ", ")
}

func sharedSlots(worker *apiv1.Worker) string {
	var used uint32
	for _, queue := range worker.GetUsed() {
		used += queue.GetSlots()
	}
	var weights []string
	for _, queue := range worker.GetQueues() {
		weights = append(weights, fmt.Sprintf("%s:%d", queue.GetQueue(), queue.GetSlots()))
	}
	how := "by weight"
	if worker.GetStrict() {
		how = "strict"
	}
	return fmt.Sprintf("shared %d/%d, %s %s", used, worker.GetSlots(), how, strings.Join(weights, " "))
}

func workerState(worker *apiv1.Worker) string {
	if worker.GetDraining() {
		return "draining"
	}
	return "open"
}

func kinds(worker *apiv1.Worker) string {
	var names []string
	for _, kind := range worker.GetKinds() {
		names = append(names, kind.GetName())
	}
	return output.Dash(strings.Join(names, ", "))
}
