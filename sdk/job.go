package sdk

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// State of a job or task, under the name that people see everywhere.
type State string

// States of a job. Success, Failure and Canceled are final.
const (
	Running  State = "RUNNING"
	Paused   State = "PAUSED"
	Success  State = "SUCCESS"
	Failure  State = "FAILURE"
	Canceled State = "CANCELED"
)

// Ended reports whether a job's state is final.
func (s State) Ended() bool { return s == Success || s == Failure || s == Canceled }

// JobStatus is what the API says about a job.
type JobStatus = apiv1.JobStatus

// StepStatus is what the API says about a step of a job.
type StepStatus = apiv1.StepStatus

// Job is the handle of a submitted job with the type of its result. It holds no state but the id, costs
// nothing to make again (Attach), and is safe for concurrent use.
type Job[Out any] struct {
	id       string
	client   *Client
	existing bool
}

// ID is the job's id, a ULID.
func (j *Job[Out]) ID() string { return j.id }

// Existing reports whether Submit found the job there before, by a JobID that was used again.
func (j *Job[Out]) Existing() bool { return j.existing }

// Await waits for the job's end, through failovers, until ctx ends; without a deadline in ctx, as long
// as it takes. A job that failed or was canceled gives a *JobError.
func (j *Job[Out]) Await(ctx context.Context) (Out, error) {
	var out Out
	data, err := j.client.awaitStored(ctx, j.id)
	if err != nil {
		return out, err
	}
	if data, err = j.client.unseal(data); err != nil {
		return out, fmt.Errorf("sdk: result of job %s: %w", j.id, err)
	}
	if err := decode(data, &out); err != nil {
		return out, fmt.Errorf("sdk: job %s: %w", j.id,
			&CodecError{What: "result", Type: reflect.TypeFor[Out]().String(), Err: err})
	}
	return out, nil
}

// Status is the job as it is now, by a linearizable read.
func (j *Job[Out]) Status(ctx context.Context) (*JobStatus, error) { return j.client.Status(ctx, j.id) }

// Watch follows the job. See Client.Watch.
func (j *Job[Out]) Watch(ctx context.Context) iter.Seq2[*JobStatus, error] {
	return j.client.Watch(ctx, j.id)
}

// Cancel ends the job. See Client.Cancel.
func (j *Job[Out]) Cancel(ctx context.Context, reason string) error {
	return j.client.Cancel(ctx, j.id, reason)
}

// Retry runs what failed again. See Client.Retry.
func (j *Job[Out]) Retry(ctx context.Context) error { return j.client.Retry(ctx, j.id) }

// Purge removes the job. See Client.Purge.
func (j *Job[Out]) Purge(ctx context.Context) error { return j.client.Purge(ctx, j.id) }
