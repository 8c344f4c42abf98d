package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// AwaitRaw waits for a job's end and returns its result as JSON. See Job.Await. A client without a codec
// gets encoded values as they are stored.
func (c *Client) AwaitRaw(ctx context.Context, id string) ([]byte, error) {
	doc, err := c.awaitStored(ctx, id)
	if err != nil {
		return nil, err
	}
	if doc, err = c.unsealRaw(doc); err != nil {
		return nil, fmt.Errorf("sdk: result of job %s: %w", id, err)
	}
	return doc, nil
}

// awaitStored is AwaitRaw without decoding.
func (c *Client) awaitStored(ctx context.Context, id string) ([]byte, error) {
	r, err := c.awaits.await(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("sdk: await job %s: %w", id, err)
	}
	if r.Refused != nil {
		return nil, fmt.Errorf("sdk: await job %s: %w", id, apiError(r.Refused))
	}
	if err := jobError(id, State(r.State), r.Error); err != nil {
		return nil, err
	}
	if !r.Large {
		return r.Result, nil
	}
	data, err := c.readAll(ctx, &apiv1.ReadValueRequest{Id: id, What: &apiv1.ReadValueRequest_Result{Result: true}})
	if err != nil {
		return nil, fmt.Errorf("sdk: result of job %s: %w", id, err)
	}
	return data, nil
}

// Status is a job as it is now, by a linearizable read.
func (c *Client) Status(ctx context.Context, id string) (*JobStatus, error) {
	var status *JobStatus
	err := c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.GetJob(ctx, connect.NewRequest(&apiv1.GetJobRequest{Id: id, Namespace: c.cfg.Namespace}))
		if err == nil {
			status = res.Msg.Job
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: status of job %s: %w", id, err)
	}
	return status, nil
}

// Watch yields the job's status now and whenever it has changed, and ends after the status that is
// final. It survives failovers; an error ends it, and so does ctx, with its error.
//
//	for status, err := range client.Watch(ctx, id) {
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[*JobStatus, error] {
	return func(yield func(*JobStatus, error) bool) {
		ctx, cancel := c.alive(ctx)
		defer cancel()
		w := watch{client: c, id: id, yield: yield}
		for !w.over {
			base, api := c.route.pick(ctx)
			err := w.stream(ctx, api)
			if w.over {
				return
			}
			if ctx.Err() != nil {
				yield(nil, fmt.Errorf("sdk: watch job %s: %w", id, context.Cause(ctx)))
				return
			}
			v := c.judge(base, err)
			if v.final {
				yield(nil, fmt.Errorf("sdk: watch job %s: %w", id, v.err))
				return
			}
			w.pause.wait(ctx, v)
		}
	}
}

// watch is the state of a Watch over its streams.
type watch struct {
	client *Client
	id     string
	yield  func(*JobStatus, error) bool
	over   bool // the job has ended, or the loop was left
	pause  backoff
}

// errStreamEnded: a node ended a stream without a reason, as it does when it shuts down.
var errStreamEnded = errors.New("the stream was ended")

func (w *watch) stream(ctx context.Context, api apiv1connect.FanfoldClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := api.WatchJob(ctx, connect.NewRequest(&apiv1.WatchJobRequest{Id: w.id, Namespace: w.client.cfg.Namespace}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		w.pause.reset()
		status := stream.Msg().Job
		w.over = !w.yield(status, nil) || State(status.State).Ended()
		if w.over {
			return nil
		}
	}
	if stream.Err() == nil {
		return errStreamEnded
	}
	return stream.Err()
}

// Cancel ends a job: what has not begun never will, and the contexts of what runs are cancelled with
// cause ErrJobCanceled. When it returns, no further attempt is started. A job that has ended already gives
// ErrConflict, unless it was canceled.
func (c *Client) Cancel(ctx context.Context, id, reason string) error {
	return c.change(ctx, "cancel job "+id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.CancelJob(ctx, connect.NewRequest(&apiv1.CancelJobRequest{Id: id, Reason: reason, Namespace: c.cfg.Namespace}))
		if err == nil && State(res.Msg.State) != Canceled {
			return &APIError{Code: "CONFLICT", Message: "it has ended before: " + res.Msg.State, kind: ErrConflict}
		}
		return err
	}, nil)
}

// Retry runs the failed and canceled steps of an ended job again; what succeeded is kept. A job that is
// running gives ErrNotEnded.
func (c *Client) Retry(ctx context.Context, id string) error {
	return c.change(ctx, "retry job "+id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.RetryJob(ctx, connect.NewRequest(&apiv1.RetryJobRequest{Id: id, Namespace: c.cfg.Namespace}))
		return err
	}, ErrNotEnded)
}

// Purge removes an ended job with its results. A job that is running gives ErrNotEnded.
func (c *Client) Purge(ctx context.Context, id string) error {
	return c.change(ctx, "purge job "+id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.PurgeJob(ctx, connect.NewRequest(&apiv1.PurgeJobRequest{Id: id, Namespace: c.cfg.Namespace}))
		return err
	}, ErrNotFound)
}

// change is a call that changes something; what says what, in errors. done is the error that the call gives when it has had its effect
// before: after a try that may have worked it means that that try has.
func (c *Client) change(ctx context.Context, what string, f func(context.Context, apiv1connect.FanfoldClient) error, done error) error {
	if err := c.retry(ctx, plan{bound: tryTimeout, changes: true, done: done}, f); err != nil {
		return fmt.Errorf("sdk: %s: %w", what, err)
	}
	return nil
}

// JobFilter selects jobs for List. Empty fields select all.
type JobFilter struct {
	State    State
	Workflow string
}

// List yields jobs, newest first, a page of the API at a time. Jobs that are submitted meanwhile may be
// missing; none comes twice.
func (c *Client) List(ctx context.Context, f JobFilter) iter.Seq2[*JobStatus, error] {
	return pages(ctx, c, "list jobs",
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*JobStatus, string, error) {
			res, err := api.ListJobs(ctx, connect.NewRequest(&apiv1.ListJobsRequest{
				Namespace: c.cfg.Namespace, State: string(f.State), Workflow: f.Workflow, PageToken: token,
			}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Jobs, res.Msg.NextPageToken, nil
		})
}
