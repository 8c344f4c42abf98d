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

func (a *app) jobShow() *cobra.Command {
	return a.onJob("show ID", "Show a job and its steps", func(cmd *cobra.Command, client *remote.Client, f jobFlags, id string) error {
		answer, err := remote.Call(cmd.Context(), client, apiv1connect.FanfoldClient.GetJob,
			&apiv1.GetJobRequest{Id: id, Namespace: f.namespace})
		if err != nil {
			return err
		}
		return a.printer().Message(answer.GetJob(), func(rows *output.Rows) { jobTable(rows, answer.GetJob()) })
	})
}

func jobTable(rows *output.Rows, job *apiv1.JobStatus) {
	rows.Add("job", job.GetId())
	rows.Add("workflow", job.GetWorkflow())
	rows.Add("state", job.GetState())
	rows.Add("created", time.UnixMilli(job.GetCreatedMs()).UTC().Format(time.RFC3339))
	rows.Add("took", took(job))
	for _, name := range slices.Sorted(maps.Keys(job.GetHeaders())) {
		rows.Add("header", name+"="+job.GetHeaders()[name])
	}
	if job.GetError() != nil {
		rows.Add("error", taskError(job.GetError()))
	}
	if job.GetState() == "CANCELED" {
		rows.Add("reason", output.Dash(job.GetCancelReason()))
	}
	rows.Add()
	rows.Add("STEP", "TASK", "STATE", "DONE", "RUNNING", "RETRY", "DEAD", "AFTER", "NOTE")
	for _, step := range job.GetSteps() {
		rows.Add(step.GetName(), step.GetTask(), step.GetState(), fmt.Sprintf("%d/%d", step.GetSucceeded(), step.GetTotal()),
			step.GetStarted(), step.GetRetrying(), step.GetDead(), output.Dash(strings.Join(step.GetAfter(), ", ")), stepNote(step))
	}
}

// stepNote says what a person would ask next about a step.
func stepNote(step *apiv1.StepStatus) string {
	var notes []string
	if step.GetWorker() != "" {
		notes = append(notes, "on "+step.GetWorker())
	}
	if step.GetProgress() != nil {
		notes = append(notes, progressText(step.GetProgress()))
	}
	if step.GetDueMs() != 0 {
		notes = append(notes, "due in "+output.Duration(time.Until(time.UnixMilli(step.GetDueMs()))))
	}
	if step.GetCrashes() > 0 {
		notes = append(notes, fmt.Sprintf("lost its worker %d times", step.GetCrashes()))
	}
	if step.GetError() != nil && step.GetState() != "SUCCESS" {
		notes = append(notes, step.GetError().GetMessage())
	}
	return strings.Join(notes, "; ")
}
