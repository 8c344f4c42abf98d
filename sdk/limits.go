package sdk

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/dag"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// LimitScope says what a limit is on.
type LimitScope string

// Scopes.
const (
	LimitQueue LimitScope = "QUEUE" // all tasks of a queue
	LimitTask  LimitScope = "TASK"  // all tasks of a name, in whichever queue
)

// LimitKind says how a limit counts.
type LimitKind string

// Kinds.
const (
	LimitRate        LimitKind = "RATE"        // N attempts in a Period, evenly spaced, with a Burst (GCRA)
	LimitWindow      LimitKind = "WINDOW"      // at most N attempts begin in any window of the length of Period
	LimitConcurrency LimitKind = "CONCURRENCY" // at most N attempts at a time
)

// Limit bounds how many attempts begin, or run, in the whole cluster. It is part of the replicated state:
// no leader change and no restart lets one attempt more through. A task that has to wait for it keeps its
// place and takes no slot. Several limits on the same task all hold.
type Limit struct {
	Scope LimitScope // LimitQueue or LimitTask
	Name  string     // of the queue or the task
	// PerPartition gives each partition its own N.
	PerPartition bool
	Kind         LimitKind
	N            int           // 1 to 1,000,000; of a window up to 10,000
	Period       time.Duration // LimitRate, LimitWindow: 1 ms to 30 days
	Burst        int           // LimitRate: how many may begin at once after a pause. Default 1
}

// LimitStatus is what the API says about a limit: what is set, and what it counts now.
type LimitStatus = apiv1.LimitStatus

// SetLimit makes a limit, or changes N, Period and Burst of the one with the same Scope, Name, PerPartition
// and Kind, at once, also for what waits already.
func (c *Client) SetLimit(ctx context.Context, l Limit) error {
	return c.onLimit(ctx, "set", l, func(ctx context.Context, api apiv1connect.FanfoldClient, m *apiv1.Limit) error {
		_, err := api.SetLimit(ctx, connect.NewRequest(&apiv1.SetLimitRequest{Limit: m}))
		return err
	}, nil)
}

// DeleteLimit removes a limit; N, Period and Burst do not matter. What waited for it alone begins at once.
// One that is not there gives ErrNotFound.
func (c *Client) DeleteLimit(ctx context.Context, l Limit) error {
	return c.onLimit(ctx, "delete", l, func(ctx context.Context, api apiv1connect.FanfoldClient, m *apiv1.Limit) error {
		_, err := api.DeleteLimit(ctx, connect.NewRequest(&apiv1.DeleteLimitRequest{Limit: m}))
		return err
	}, ErrNotFound)
}

// Limits lists the limits of the namespace in the order in which they were made.
func (c *Client) Limits(ctx context.Context) (all []*LimitStatus, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListLimits(ctx, connect.NewRequest(&apiv1.ListLimitsRequest{Namespace: c.cfg.Namespace}))
		if err == nil {
			all = res.Msg.Limits
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: list limits: %w", err)
	}
	return all, nil
}

// onLimit makes a change. done is the error that a repeated one gives when the first has worked.
func (c *Client) onLimit(ctx context.Context, verb string, l Limit, f func(context.Context, apiv1connect.FanfoldClient, *apiv1.Limit) error, done error) error {
	m := &apiv1.Limit{
		Namespace: c.cfg.Namespace, Scope: string(l.Scope), Name: l.Name, PerPartition: l.PerPartition, Kind: string(l.Kind),
		N: uint64(max(0, l.N)), PeriodMs: milliseconds(l.Period), Burst: uint64(max(0, l.Burst)),
	}
	return c.change(ctx, verb+" limit on "+l.Name, func(ctx context.Context, api apiv1connect.FanfoldClient) error { return f(ctx, api, m) }, done)
}

// Partition puts the tasks of a job into a partition: queues are fair between partitions, by their weights,
// and limits may be per partition. A tenant's id is a good one. Default "", a partition like any other. At
// most 255 bytes.
func Partition(name string) SubmitOption {
	return submitFunc(func(s *submitSettings) { s.options().Partition = name })
}

// PlainOption makes sense for a task, and for a step of one task (Then).
type PlainOption func(*settings)

func (o PlainOption) taskOption(s *settings) { o(s) }
func (o PlainOption) stepOption(s *settings) { o(s) }

// PartitionBy reads the partition of a task out of its input: pointer is a JSON pointer (RFC 6901) to a
// string, number or boolean in it, such as "/customer/id". Where there is none the partition is "". It is
// for tasks by themselves and in Then; a task with it in an Each or Fold does not build: there all items
// have the job's partition. Inputs over 256 KiB have the partition "".
func PartitionBy(pointer string) PlainOption {
	return func(s *settings) {
		if !dag.ValidPointer(pointer) {
			s.fail("PartitionBy(%q): a JSON pointer has a slash before each name, for instance /customer/id", pointer)
			return
		}
		s.options.PartitionBy = pointer
	}
}

// RateLimited says that an outside system asked to slow down: no attempt is counted, the task keeps its
// place, and no task of its name begins in its partition for d (at most a day). RateLimited(nil, d) is nil.
func RateLimited(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &delayError{err: err, delay: max(d, time.Millisecond), limited: true}
}
