package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

func (a *app) explain() *cobra.Command {
	var step string
	var shard uint64
	cmd := a.onJob("explain ID", "Say why a job, or one of its tasks, is not done", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		request := &apiv1.ExplainTaskRequest{Id: id, Namespace: f.namespace, Step: step}
		if cmd.Flags().Changed("shard") {
			request.Shard = &shard
		}
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.ExplainTask, request)
		if err != nil {
			return err
		}
		return a.printer().Message(answer, func(rows *output.Rows) { explainTable(rows, answer) })
	})
	cmd.Flags().StringVar(&step, "step", "", "the step (default: the one that says most)")
	cmd.Flags().Uint64Var(&shard, "shard", 0, "item of an Each")
	return cmd
}

func explainTable(rows *output.Rows, answer *apiv1.ExplainTaskResponse) {
	name := answer.GetStep()
	if answer.GetShard() > 0 {
		name = fmt.Sprintf("%s[%d]", name, answer.GetShard())
	}
	rows.Add("job", answer.GetId(), answer.GetJobState())
	rows.Add("task", name, answer.GetState())
	if answer.GetStale() {
		rows.Add("", "", "an old state: there is no leader")
	}
	rows.Add()
	rows.Add("WHY", "UNTIL", "WHAT")
	now := time.Now()
	if answer.GetStale() {
		now = time.UnixMilli(answer.GetNowMs())
	}
	for _, r := range answer.GetReasons() {
		rows.Add(r.GetCode(), until(r.GetUntilMs(), now), reasonText(r, now))
	}
}

func until(ms int64, now time.Time) string {
	if ms == 0 {
		return "-"
	}
	return "in " + output.Duration(time.UnixMilli(ms).Sub(now))
}

// reasonText is the sentence, with what the columns do not hold.
func reasonText(r *apiv1.Reason, now time.Time) string {
	text := r.GetText()
	if r.GetSinceMs() > 0 {
		text += ", since " + output.Duration(now.Sub(time.UnixMilli(r.GetSinceMs())))
	}
	if p := r.GetProgress(); p != nil {
		text += ", at " + progressText(p)
	}
	if r.GetCode() == "LIMIT_FULL" && r.GetPosition() > 0 {
		text += fmt.Sprintf("; place %d in line", r.GetPosition())
	}
	return text
}

// progressText is what a worker said of an attempt.
func progressText(p *apiv1.Progress) string {
	text := fmt.Sprint(p.GetDone())
	if p.GetTotal() > 0 {
		text += fmt.Sprintf("/%d", p.GetTotal())
	}
	if p.GetNote() != "" {
		text += " " + p.GetNote()
	}
	return text
}
