package sdk

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// fence is the right to one attempt, comparable.
type fence struct {
	index uint64
	pos   uint32
}

func fenceOf(f *apiv1.Fence) fence  { return fence{f.GetIndex(), f.GetPos()} }
func (f fence) proto() *apiv1.Fence { return &apiv1.Fence{Index: f.index, Pos: f.pos} }
func (f fence) String() string      { return fmt.Sprintf("%d.%d", f.index, f.pos) }

// attempt is one run of a task's function.
type attempt struct {
	session *session
	msg     *apiv1.Assignment
	fence   fence
	ctx     context.Context
	cancel  context.CancelCauseFunc
	// over is set by whoever reports the attempt: the function's end, its timeout, or the drain's end.
	// Only the first does.
	over atomic.Bool
	// said is the last progress, which Heartbeat says again. Guarded by session.mu.
	said *apiv1.Progress
	// gone: the server has said that the lease is over. A failure need not be reported.
	gone  atomic.Bool
	lane  *lane     // of its queue; nil where queues share slots. What follows is guarded by session.mu.
	begun bool      // it has a slot of lane
	size  int       // of its input
	since time.Time // it has waited for one
	then  *attempt  // what its goroutine runs next
	kept  kept      // what the task has saved (save.go)
}

// timeoutGrace is how long after its timeout a function may go on before it is given up.
const timeoutGrace = 10 * time.Second

// run does the work: input, function, report.
func (a *attempt) run() {
	finished := false
	started := time.Now()
	defer func() {
		if !finished { // runtime.Goexit in the function, as t.FailNow does
			a.handOver(a.outcome(nil, errors.New("the function ended its goroutine by runtime.Goexit")), time.Since(started))
		}
	}()
	if ms := a.msg.TimeoutMs; ms > 0 {
		limit := time.Duration(ms) * time.Millisecond
		ctx, stop := context.WithTimeout(a.ctx, limit)
		defer stop()
		a.ctx = ctx
		giveUp := time.AfterFunc(limit+timeoutGrace, a.abandon)
		defer giveUp.Stop()
	}
	result, err := a.do()
	finished = true
	if !a.over.Load() { // else it was given up
		r := a.outcome(result, err) // perhaps an upload, which the slot is taken for too
		a.then = a.report(r, time.Since(started))
	}
}

// do turns a panic into an error, whether of the function or of a type's own JSON methods.
func (a *attempt) do() (result []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	core := a.session.worker.tasks[a.msg.Kind]
	if core == nil {
		return nil, errUnknownTask
	}
	input := a.msg.Input
	if a.msg.Large {
		what := &apiv1.ReadValueRequest{Id: a.msg.Job, What: &apiv1.ReadValueRequest_Task{Task: a.msg.Task}}
		if input, err = a.session.worker.client.readAll(a.ctx, what); err != nil {
			return nil, &transferError{fmt.Errorf("read the input: %w", err)}
		}
	}
	a.msg.Input = nil // the memory belongs to the function now
	if input, err = a.session.worker.client.unseal(input); err != nil {
		return nil, err // another worker may have the key
	}
	return a.session.worker.intercept(core.run)(a.ctx, input)
}

var errUnknownTask = errors.New("this worker does not have the task")

// transferError is a failure of the worker's connection and not of the task.
type transferError struct{ err error }

func (e *transferError) Error() string { return e.err.Error() }
func (e *transferError) Unwrap() error { return e.err }

// abandon reports the failure of a function that does not heed its timeout. It runs on in its goroutine.
func (a *attempt) abandon() {
	a.session.log.Warn("task ignores its timeout and is given up; its goroutine runs on",
		"job", a.msg.Job, "step", a.msg.Step, "task", a.msg.Kind, "timeout_ms", a.msg.TimeoutMs)
	a.handOver(a.outcome(nil, context.DeadlineExceeded), time.Duration(a.msg.TimeoutMs)*time.Millisecond)
}

// outcome makes the report. nil: there is nothing to say.
func (a *attempt) outcome(result []byte, err error) *apiv1.Report {
	r := &apiv1.Report{Fence: a.msg.Fence, Task: a.msg.Task}
	if err == nil && a.gone.Load() && len(result) > maxInline {
		return nil // not worth its upload
	}
	if err == nil {
		result, err = a.session.worker.client.seal(result)
	}
	if err == nil {
		value, verr := a.value(result)
		switch {
		case verr == nil:
			r.Outcome = &apiv1.Report_Result{Result: value}
			return r
		case errors.Is(verr, ErrTooLarge):
			err = Permanent(verr)
		default:
			err = &transferError{verr}
		}
	}
	if a.gone.Load() {
		return nil
	}
	var transfer *transferError
	if errors.As(err, &transfer) || errors.Is(err, errUnknownTask) || a.interrupted() {
		r.Outcome = &apiv1.Report_Release{Release: true}
		return r
	}
	f := failure(err)
	f.Timeout = errors.Is(context.Cause(a.ctx), context.DeadlineExceeded)
	r.Outcome = &apiv1.Report_Failure{Failure: f}
	return r
}

// value uploads a large result. The work is done, so it is worth every try as long as the lease holds.
func (a *attempt) value(result []byte) (*apiv1.Value, error) {
	ctx := context.WithoutCancel(a.ctx) // a function that ignored its timeout, and has a result, is forgiven
	for {
		value, err := a.session.worker.client.value(ctx, result)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || a.interrupted() {
			return value, err
		}
	}
}

// interrupted: the worker's side has cancelled the context, so an error is no failure of the task.
func (a *attempt) interrupted() bool {
	cause := context.Cause(a.ctx)
	for _, ours := range []error{ErrLeaseLost, ErrDraining, ErrJobCanceled, ErrJobFailed} {
		if errors.Is(cause, ours) {
			return true
		}
	}
	return false
}

// released is the report of an attempt that is handed back.
func released(f *apiv1.Fence, t *apiv1.Task) *apiv1.Report {
	return &apiv1.Report{Fence: f, Task: t, Outcome: &apiv1.Report_Release{Release: true}}
}

// report hands the outcome of a function that took so long to the sender, if nobody has before. It returns the
// attempt that has got the slot, for the caller to run.
func (a *attempt) report(r *apiv1.Report, took time.Duration) (next *attempt) {
	if a.over.CompareAndSwap(false, true) {
		next = a.session.finish(a, r, took)
	}
	a.cancel(nil)
	return next
}

// handOver is report for those who cannot run another attempt.
func (a *attempt) handOver(r *apiv1.Report, took time.Duration) {
	if next := a.report(r, took); next != nil {
		a.session.begin(next)
	}
}

// Limits of what is stored about an error.
const (
	maxErrorType    = 255
	maxErrorMessage = 4 << 10
	maxErrorStack   = 16 << 10
)

// failure describes a task's error.
func failure(err error) *apiv1.Failure {
	f := &apiv1.Failure{Error: &apiv1.TaskError{
		Type: clip(errorType(err), maxErrorType), Message: clip(err.Error(), maxErrorMessage),
	}}
	var p *PanicError
	if errors.As(err, &p) {
		f.Error.Stack = clip(string(p.Stack), maxErrorStack)
	}
	var permanent *permanentError
	f.Permanent = errors.As(err, &permanent)
	f.Discard = discards(err)
	var delay *delayError
	if errors.As(err, &delay) {
		if delay.limited {
			f.RateLimitedMs = milliseconds(delay.delay)
			return f
		}
		f.RetryAfterMs = milliseconds(delay.delay)
		f.Snooze = delay.err == nil
	}
	return f
}

// errorType names the type of the innermost error that says more than a text: *fs.PathError rather than
// *fmt.wrapError.
func errorType(err error) string {
	name := ""
	for err != nil {
		switch err.(type) {
		case *permanentError, *delayError, *discardError:
		default:
			t := fmt.Sprintf("%T", err)
			if !strings.HasPrefix(t, "*fmt.") && !(name != "" && t == "*errors.errorString") {
				return t
			}
			if name == "" {
				name = t
			}
		}
		err = errors.Unwrap(err)
	}
	return name
}

// clip makes s fit: valid UTF-8 of at most n bytes, because a message with other strings cannot be sent.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
