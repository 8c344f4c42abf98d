package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// Attempt is what the API says about an attempt of a task.
type Attempt = apiv1.Attempt

// AttemptFilter selects attempts of one job. Empty fields select all.
type AttemptFilter struct {
	Step  string
	Shard *uint64 // of the step: one item of an Each, one node of a Fold
}

// Attempts yields the attempts of a job's tasks in the order of steps, shards and time. Of each task the first
// attempt and the last 31 that did not succeed are kept, and the one that did; the one that runs has no end.
func (c *Client) Attempts(ctx context.Context, id string, f AttemptFilter) iter.Seq2[*Attempt, error] {
	return pages(ctx, c, "attempts of job "+id,
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*Attempt, string, error) {
			res, err := api.ListAttempts(ctx, connect.NewRequest(&apiv1.ListAttemptsRequest{
				Id: id, Namespace: c.cfg.Namespace, Step: f.Step, Shard: f.Shard, PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Attempts, res.Msg.NextPageToken, nil
		})
}

// DeadJob is what the API says about a dead job: one in FAILURE.
type DeadJob = apiv1.DeadJob

// DeadGroup is the dead jobs whose errors have one fingerprint: they differ only in numbers, ids and quoted words.
type DeadGroup = apiv1.DeadGroup

// DeadFilter selects dead jobs. Empty fields select all.
type DeadFilter struct {
	Workflow    string
	Queue       string // of the step that died
	ErrorType   string
	Fingerprint string    // as in DeadJob
	Since       time.Time // died at or after
	Until       time.Time // died before
}

func (f DeadFilter) proto() *apiv1.DeadFilter {
	out := &apiv1.DeadFilter{Workflow: f.Workflow, Queue: f.Queue, ErrorType: f.ErrorType, Fingerprint: f.Fingerprint}
	if !f.Since.IsZero() {
		out.SinceMs = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		out.UntilMs = f.Until.UnixMilli()
	}
	return out
}

// Dead yields the dead jobs, the newest first.
func (c *Client) Dead(ctx context.Context, f DeadFilter) iter.Seq2[*DeadJob, error] {
	return pages(ctx, c, "dead jobs",
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*DeadJob, string, error) {
			res, err := api.ListDead(ctx, connect.NewRequest(&apiv1.ListDeadRequest{Namespace: c.cfg.Namespace, Filter: f.proto(), PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Jobs, res.Msg.NextPageToken, nil
		})
}

// DeadGroups groups the dead jobs by their errors, the largest group first. partial: there are more than
// 100,000 dead jobs or 1,000 groups, and only the newest jobs and the largest groups were taken.
func (c *Client) DeadGroups(ctx context.Context, f DeadFilter) (groups []*DeadGroup, partial bool, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListDeadGroups(ctx, connect.NewRequest(&apiv1.ListDeadGroupsRequest{Namespace: c.cfg.Namespace, Filter: f.proto()}))
		if err == nil {
			groups, partial = res.Msg.Groups, res.Msg.Partial
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("sdk: groups of dead jobs: %w", err)
	}
	return groups, partial, nil
}

// Redrive is what the API says about a redrive.
type Redrive = apiv1.Redrive

// RedriveConfig says which dead jobs are retried or discarded, and how fast.
type RedriveConfig struct {
	Filter DeadFilter
	// Jobs in each Period, 1 to 1,000 in 100 ms or more. Default 100 in a second.
	Jobs   int
	Period time.Duration
	// Discard removes the jobs for good in place of running them again. It needs a Reason.
	Discard bool
	// Reason is for people, at most 1,024 bytes.
	Reason string
}

// StartRedrive retries (or discards) the dead jobs that a filter selects, the oldest first, at a rate. It goes
// on in the cluster, through failovers, until all that were dead at its start have been looked at, or StopRedrive.
// A job that dies again is not retried again by it.
func (c *Client) StartRedrive(ctx context.Context, cfg RedriveConfig) (id string, err error) {
	id = NewJobID()
	if cfg.Jobs < 0 || cfg.Period < 0 {
		return "", fmt.Errorf("sdk: start redrive: %w: Jobs or Period is negative", ErrInvalid)
	}
	err = c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.StartRedrive(ctx, connect.NewRequest(&apiv1.StartRedriveRequest{Id: id, Namespace: c.cfg.Namespace, Filter: cfg.Filter.proto(),
			Jobs: uint32(cfg.Jobs), PeriodMs: milliseconds(cfg.Period), Discard: cfg.Discard, Reason: cfg.Reason}))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sdk: start redrive: %w", err)
	}
	return id, nil
}

// StopRedrive ends a redrive where it is. One that has ended already stays as it is.
func (c *Client) StopRedrive(ctx context.Context, id string) error {
	err := c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.StopRedrive(ctx, connect.NewRequest(&apiv1.StopRedriveRequest{Id: id, Namespace: c.cfg.Namespace}))
		return err
	})
	if err != nil {
		return fmt.Errorf("sdk: stop redrive %s: %w", id, err)
	}
	return nil
}

// Redrives lists the redrives, the oldest first: those that run, and the last hundred that have ended.
func (c *Client) Redrives(ctx context.Context) (all []*Redrive, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListRedrives(ctx, connect.NewRequest(&apiv1.ListRedrivesRequest{Namespace: c.cfg.Namespace}))
		if err == nil {
			all = res.Msg.Redrives
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: redrives: %w", err)
	}
	return all, nil
}

// DiscardJob removes a dead job for good; reason says why, for the log. A job that is not dead gives ErrConflict.
func (c *Client) DiscardJob(ctx context.Context, id, reason string) error {
	return c.change(ctx, "discard job "+id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.DiscardJob(ctx, connect.NewRequest(&apiv1.DiscardJobRequest{Id: id, Namespace: c.cfg.Namespace, Reason: reason}))
		return err
	}, ErrNotFound)
}

// discardError marks an error that says that the task is not wanted any more.
type discardError struct{ err error }

func (e *discardError) Error() string { return e.err.Error() }
func (e *discardError) Unwrap() error { return e.err }

// Discard ends a task that is not wanted any more, quietly: its job is CANCELED with err as the reason, not
// dead, and nothing is retried. An item of an Each is missing in the results, without a charge to Tolerate.
// Discard(nil) is nil.
func Discard(err error) error {
	if err == nil {
		return nil
	}
	return &discardError{err}
}

func discards(err error) bool {
	var d *discardError
	return errors.As(err, &d)
}
