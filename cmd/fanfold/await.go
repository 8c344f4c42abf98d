package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fanfold/fanfold/cmd/fanfold/internal/exit"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/output"
	"github.com/fanfold/fanfold/cmd/fanfold/internal/remote"
	"github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// waitStepMS is how long one call waits for a job's end before it is made again. An answer lost in a
// failover costs at most this.
const waitStepMS = 10_000

// awaitJob waits for the end of a job and prints its result. The job's failure is the error.
func (a *app) awaitJob(ctx context.Context, client *remote.Client, namespace, id string) error {
	for {
		answer, err := remote.Call(ctx, client, apiv1connect.FanfoldClient.GetJob,
			&apiv1.GetJobRequest{Id: id, Namespace: namespace, WaitMs: waitStepMS, WithResult: true})
		if err != nil {
			return err
		}
		if ended(answer.GetJob().GetState()) {
			return a.printResult(ctx, client, answer)
		}
	}
}

func ended(state string) bool { return state == "SUCCESS" || state == "FAILURE" || state == "CANCELED" }

// jobEnd is the JSON form of a job's end.
type jobEnd struct {
	ID     string           `json:"id"`
	State  string           `json:"state"`
	Result json.RawMessage  `json:"result,omitempty"`
	Error  *apiv1.TaskError `json:"error,omitempty"`
}

// printResult prints the result of an ended job and turns any other end into an error.
func (a *app) printResult(ctx context.Context, client *remote.Client, answer *apiv1.GetJobResponse) error {
	job := answer.GetJob()
	end := jobEnd{ID: job.GetId(), State: job.GetState(), Error: job.GetError()}
	if job.GetState() == "SUCCESS" {
		var document bytes.Buffer
		request := &apiv1.ReadValueRequest{Id: job.GetId(), Namespace: job.GetNamespace(), What: &apiv1.ReadValueRequest_Result{Result: true}}
		if result := answer.GetResult(); result != nil && !result.GetLarge() {
			document.Write(result.GetResult())
		} else if err := client.ReadValue(ctx, &document, request); err != nil {
			return err
		}
		end.Result = document.Bytes()
	}
	if output.Format(a.format) == output.JSON {
		if err := a.printer().Value(end, nil); err != nil {
			return err
		}
	} else if end.Result != nil {
		if note := encodedNote(end.Result); note != "" {
			fmt.Fprintln(a.err, "note: the value is", note)
		}
		if _, err := fmt.Fprintf(a.out, "%s\n", end.Result); err != nil {
			return err
		}
	}
	return jobError(job)
}

// jobError is the error that stands for a job's end; nil for success.
func jobError(job *apiv1.JobStatus) error {
	switch job.GetState() {
	case "FAILURE":
		return exit.With(exit.JobFailed, "see `fanfold job show "+job.GetId()+"`; mend the cause and run `fanfold job retry "+job.GetId()+"`",
			fmt.Errorf("job %s failed: %s", job.GetId(), taskError(job.GetError())))
	case "CANCELED":
		reason := job.GetCancelReason()
		if reason == "" {
			reason = "no reason given"
		}
		return exit.With(exit.JobCanceled, "", errors.New("job "+job.GetId()+" was canceled: "+reason))
	}
	return nil
}

func taskError(e *apiv1.TaskError) string {
	if e == nil {
		return "no error was recorded"
	}
	place := e.GetStep()
	if e.GetShard() > 0 {
		place = fmt.Sprintf("%s[%d]", place, e.GetShard())
	}
	if place != "" {
		place += ": "
	}
	return place + e.GetMessage()
}
