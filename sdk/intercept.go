package sdk

import (
	"context"
	"fmt"
)

// Handler runs one attempt of a task: JSON in, JSON out. Info, Log, Headers and the other functions for handlers
// work in its context.
type Handler func(ctx context.Context, input []byte) (result []byte, err error)

// Interceptor wraps the attempts of a worker's tasks: for traces, metrics, tenancy, what is set up and
// torn down around each. It calls next once, with a context made of its own and the input, changed or
// not, and returns what that returned, changed or not; or does not call next, and its error is the
// attempt's, under the task's policy. A panic of the function passes through it. Values are plain here:
// decoded by the codec before, encoded after.
type Interceptor func(ctx context.Context, input []byte, next Handler) (result []byte, err error)

// intercept puts the worker's interceptors around a task's function, the first one outermost.
func (w *Worker) intercept(run Handler) Handler {
	for i := len(w.cfg.Interceptors) - 1; i >= 0; i-- {
		around, next := w.cfg.Interceptors[i], run
		run = func(ctx context.Context, input []byte) ([]byte, error) { return around(ctx, input, next) }
	}
	return run
}

// Submission is a job on its way out, for SubmitInterceptors to look at and change.
type Submission struct {
	Job     RawJob            // Input is plain: it is encoded after the interceptors
	ID      string            // of the job, drawn already; read only
	Key     string            // JobKey; read only
	Headers map[string]string // of the job; nil when there are none. The handlers read them by Headers
}

// Header adds a header.
func (s *Submission) Header(name, value string) {
	if s.Headers == nil {
		s.Headers = map[string]string{}
	}
	s.Headers[name] = value
}

// SubmitInterceptor sees every job that a client submits, each once, before it is sent: to add headers
// (a trace's id), to check, to count. An error of it is the submission's, and nothing is sent.
type SubmitInterceptor func(ctx context.Context, s *Submission) error

// intercepted runs the interceptors over a job.
func (c *Client) intercepted(ctx context.Context, job RawJob, s *submitSettings) (RawJob, error) {
	if len(c.cfg.OnSubmit) == 0 {
		return job, nil
	}
	sub := &Submission{Job: job, ID: s.job.Id, Key: s.job.Key, Headers: s.job.GetOptions().GetHeaders()}
	for _, f := range c.cfg.OnSubmit {
		if err := f(ctx, sub); err != nil {
			return job, fmt.Errorf("interceptor: %w", err)
		}
	}
	if len(sub.Headers) > 0 {
		s.options().Headers = sub.Headers
	}
	return sub.Job, nil
}

// Header sends a header with the job: a name and a value that every handler of the job reads by Headers. For
// ids of traces and tenants; at most 32, with 8 KiB in all.
func Header(name, value string) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		o := s.options()
		if o.Headers == nil {
			o.Headers = map[string]string{}
		}
		o.Headers[name] = value
	})
}
