package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// What calls return. Test with errors.Is: the errors carry texts that say what to do next.
var (
	// ErrNotFound: there is no such job, or it was purged.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the request is wrong as it is; nothing of it was stored.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: the id exists with another graph or input, or the state does not allow the call.
	ErrConflict = errors.New("conflict")
	// ErrExists: another job has the unique key, and the submission wants to be refused then.
	ErrExists = errors.New("exists")
	// ErrTooLarge: a payload is over 64 MiB, or a graph over its limits.
	ErrTooLarge = errors.New("too large")
	// ErrTypeMismatch: a worker offers a task with other types than the job's graph names.
	ErrTypeMismatch = errors.New("type mismatch")
	// ErrNotEnded: the job is still running.
	ErrNotEnded = errors.New("not ended")
	// ErrOverloaded: the cluster refused to queue more, until the deadline.
	ErrOverloaded = errors.New("overloaded")
	// ErrNoLeader: no node with a leader was reached until the deadline. Nothing was done.
	ErrNoLeader = errors.New("no leader")
	// ErrOutcomeUnknown: the deadline came while a change was on its way; it may have happened or not. With
	// another error beside it (ErrNotEnded, ErrNotFound ...): a try broke, and the next was refused, perhaps
	// because of what the first had done.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client closed")

	// ErrJobFailed: the job ended in FAILURE. errors.As a *JobError says where.
	ErrJobFailed = errors.New("job failed")
	// ErrJobCanceled: the job was canceled. Also the cause of a canceled task's context.
	ErrJobCanceled = errors.New("job canceled")
)

// Causes of a task's context (context.Cause), beside ErrJobCanceled, ErrJobFailed (another step has
// failed) and context.DeadlineExceeded (Timeout).
var (
	// ErrLeaseLost: the worker may no longer hold the task: another may be running it.
	ErrLeaseLost = errors.New("lease lost")
	// ErrDraining: the worker is shutting down. An error that a task returns now hands it back, and is not counted.
	ErrDraining = errors.New("worker draining")
)

// JobError is how a job ended without a result. errors.Is knows it as ErrJobFailed or ErrJobCanceled.
type JobError struct {
	Job     string // id
	State   State  // Failure or Canceled
	Step    string
	Shard   uint64 // item of an Each
	Type    string // Go type of the error
	Message string
	Stack   string // of a panic
}

func (e *JobError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %s ", e.Job)
	if e.State == Canceled {
		b.WriteString("was canceled")
	} else {
		b.WriteString("failed")
	}
	if e.Step != "" {
		fmt.Fprintf(&b, " at step %s", e.Step)
		if e.Shard > 0 {
			fmt.Fprintf(&b, "[%d]", e.Shard)
		}
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

// Is makes errors.Is(err, ErrJobFailed) and errors.Is(err, ErrJobCanceled) work.
func (e *JobError) Is(target error) bool {
	return target == ErrJobFailed && e.State == Failure || target == ErrJobCanceled && e.State == Canceled
}

// jobError is nil for a job that succeeded.
func jobError(id string, state State, e *apiv1.TaskError) error {
	if state == Success {
		return nil
	}
	return &JobError{
		Job: id, State: state, Step: e.GetStep(), Shard: e.GetShard(),
		Type: e.GetType(), Message: e.GetMessage(), Stack: e.GetStack(),
	}
}

// APIError is an error that a node has answered. Unwrap gives the sentinel of its code.
type APIError struct {
	Code       string // see ErrorInfo in the API: NOT_FOUND, CONFLICT, ...
	Message    string
	Leader     string        // NOT_LEADER: where to go
	RetryAfter time.Duration // OVERLOADED, OVER_BUDGET, NO_LEADER
	kind       error
}

func (e *APIError) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Message
}

func (e *APIError) Unwrap() error { return e.kind }

// kinds maps the API's codes to sentinels, so that errors.Is works across the wire.
var kinds = map[string]error{
	"NOT_FOUND":       ErrNotFound,
	"INVALID":         ErrInvalid,
	"CONFLICT":        ErrConflict,
	"TOO_LARGE":       ErrTooLarge,
	"TYPE_MISMATCH":   ErrTypeMismatch,
	"NOT_ENDED":       ErrNotEnded,
	"OVERLOADED":      ErrOverloaded,
	"NO_LEADER":       ErrNoLeader,
	"NOT_LEADER":      ErrNoLeader,
	"OUTCOME_UNKNOWN": ErrOutcomeUnknown,
	"STALE":           ErrLeaseLost,
	"CANCELED":        ErrJobCanceled,
	"QUEUE_DRAINING":  ErrQueueDraining,
	"OVER_BUDGET":     ErrOverBudget,
	"EXISTS":          ErrExists,
}

// apiError turns the detail of a refusal into an error.
func apiError(info *apiv1.ErrorInfo) *APIError {
	return &APIError{
		Code: info.GetCode(), Message: info.GetMessage(), Leader: info.GetLeader(),
		RetryAfter: time.Duration(info.GetRetryAfterMs()) * time.Millisecond,
		kind:       kinds[info.GetCode()],
	}
}

// wireError turns what a Connect call returned into an *APIError where a node has answered, and
// leaves errors of the transport as they are.
func wireError(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	for _, d := range ce.Details() {
		if v, e := d.Value(); e == nil {
			if info, ok := v.(*apiv1.ErrorInfo); ok {
				return apiError(info)
			}
		}
	}
	switch ce.Code() {
	case connect.CodeInvalidArgument:
		return &APIError{Code: "INVALID", Message: ce.Message(), kind: ErrInvalid}
	case connect.CodeResourceExhausted: // the message is over the server's limit
		return &APIError{Code: "TOO_LARGE", Message: ce.Message(), kind: ErrTooLarge}
	}
	return err
}

// permanentError marks an error that no further attempt can heal.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent says that no other attempt would do better: the task is dead at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// delayError carries a delay of the task's own choice.
type delayError struct {
	err     error // nil: Snooze
	delay   time.Duration
	limited bool // RateLimited
}

func (e *delayError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("snoozed for %v", e.delay)
	}
	return e.err.Error()
}

func (e *delayError) Unwrap() error { return e.err }

// RetryAfter is a failure with its own delay before the next attempt, in place of the policy's. The
// attempt counts. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &delayError{err: err, delay: max(d, time.Millisecond)}
}

// Snooze ends the attempt without a failure: the task runs again after d, and nothing is counted.
func Snooze(d time.Duration) error { return &delayError{delay: max(d, time.Millisecond)} }

// errInFlight stands for a try that was not answered.
var errInFlight = errors.New("no answer came")

// deadlineError is the end of patience: the context's error and what the calls had failed with, both for errors.Is.
func deadlineError(ctx context.Context, last error, mayHaveHappened bool) error {
	cause := context.Cause(ctx)
	if last == nil && mayHaveHappened {
		last = errInFlight
	}
	switch {
	case last == nil:
		return cause
	case mayHaveHappened && !errors.Is(last, ErrOutcomeUnknown):
		return fmt.Errorf("%w: %w: %w", ErrOutcomeUnknown, cause, last)
	case errors.Is(last, ErrOverloaded), errors.Is(last, ErrOutcomeUnknown), errors.Is(last, ErrNoLeader):
		return fmt.Errorf("%w: %w", last, cause)
	}
	return fmt.Errorf("%w: %w: %w", ErrNoLeader, cause, last)
}
