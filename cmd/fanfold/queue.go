package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) queue() *cobra.Command {
	return group("queue", "See and steer the queues", a.queueList(), a.queueShow(), a.queueSet(), a.queuePause(), a.queueResume(),
		a.queueDrain(), a.queueUndrain(), a.queuePurge())
}

func (a *app) queueList() *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the queues: what waits, what runs, and who could take more", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ListQueues,
				&apiv1.ListQueuesRequest{Namespace: namespace})
			if err != nil {
				return err
			}
			for _, queue := range answer.GetQueues() {
				if queue.GetPending() > 0 && queue.GetSlots() == 0 {
					fmt.Fprintf(a.err, "note: %d tasks wait in %q and no worker takes from it\n", queue.GetPending(), queue.GetName())
				}
			}
			return a.printer().Message(answer, func(rows *output.Rows) {
				rows.Add("QUEUE", "PENDING", "STARTED", "SLOTS", "FREE", "STATE")
				for _, queue := range answer.GetQueues() {
					rows.Add(queue.GetName(), queue.GetPending(), queue.GetStarted(), queue.GetSlots(), queue.GetFree(), queueState(queue))
				}
			})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

// queueState is what keeps a queue from working as usual.
func queueState(q *apiv1.Queue) string {
	var states []string
	if q.GetPaused() {
		states = append(states, "paused")
	}
	if q.GetDraining() {
		states = append(states, "draining")
	}
	if q.GetJobs().GetPurging() {
		states = append(states, "purging")
	}
	if len(states) == 0 {
		return "open"
	}
	return strings.Join(states, ", ")
}

// onQueue makes a command that takes one queue.
func (a *app) onQueue(use, short string, do func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error) *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use: use + " QUEUE", Short: short, Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			return do(cmd, client, &apiv1.QueueName{Namespace: namespace, Queue: args[0]})
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", `namespace (default "default")`)
	return cmd
}

func (a *app) queueShow() *cobra.Command {
	return a.onQueue("show", "Show a queue: its work, its settings, its jobs", func(cmd *cobra.Command, client *remote.Client, name *apiv1.QueueName) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.GetQueue, &apiv1.GetQueueRequest{Name: name})
		if err != nil {
			return err
		}
		return a.printer().Message(answer.GetQueue(), func(rows *output.Rows) { queueTable(rows, answer.GetQueue()) })
	})
}

func queueTable(rows *output.Rows, q *apiv1.Queue) {
	rows.Add("queue", q.GetName())
	rows.Add("state", queueState(q))
	rows.Add("tasks", fmt.Sprintf("%d pending, %d started", q.GetPending(), q.GetStarted()))
	rows.Add("slots", fmt.Sprintf("%d, %d free", q.GetSlots(), q.GetFree()))
	set := q.GetSettings()
	ageing := "off"
	if set.GetAgeingMs() >= 0 {
		ageing = output.Duration(time.Duration(set.GetAgeingMs())*time.Millisecond) + " for one level of priority"
	}
	rows.Add("ageing", ageing)
	for _, partition := range slices.Sorted(maps.Keys(set.GetWeights())) {
		rows.Add("weight", fmt.Sprintf("%s=%d", partition, set.GetWeights()[partition]))
	}
	rows.Add("budget", budgetText(set.GetBudget()))
	jobs := q.GetJobs()
	rows.Add()
	rows.Add("JOBS", "COUNT", "BYTES", "KEPT")
	rows.Add("unfinished", jobs.GetUnfinished().GetJobs(), output.Bytes(int64(jobs.GetUnfinished().GetBytes())))
	for _, s := range []struct {
		name string
		n    *apiv1.JobTally
		keep *apiv1.Retention
	}{
		{"SUCCESS", jobs.GetSuccess(), set.GetSuccess()}, {"FAILURE", jobs.GetFailure(), set.GetFailure()}, {"CANCELED", jobs.GetCanceled(), set.GetCanceled()},
	} {
		rows.Add(s.name, s.n.GetJobs(), output.Bytes(int64(s.n.GetBytes())), keepText(s.keep))
	}
}

func budgetText(b *apiv1.Budget) string {
	return bounds(bound("jobs", b.GetJobs(), ""), bound("", b.GetBytes(), "bytes"), "none")
}

func keepText(r *apiv1.Retention) string {
	age := "default age"
	if r.GetAgeMs() > 0 {
		age = output.Duration(time.Duration(r.GetAgeMs()) * time.Millisecond)
	}
	return bounds(age, bound("jobs", r.GetCount(), ""), bound("", r.GetBytes(), "bytes"), "")
}

func bound(what string, n uint64, unit string) string {
	switch {
	case n == 0:
		return ""
	case unit == "bytes":
		return output.Bytes(int64(n))
	}
	return fmt.Sprintf("%d %s", n, what)
}

// bounds joins what is there; the last text stands for nothing at all.
func bounds(texts ...string) string {
	none := texts[len(texts)-1]
	texts = slices.DeleteFunc(texts[:len(texts)-1], func(s string) bool { return s == "" })
	if len(texts) == 0 {
		return none
	}
	return strings.Join(texts, ", ")
}
