package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// QueueStatus is what the API says about a queue: what waits, what runs, its settings, its jobs.
type QueueStatus = apiv1.Queue

// QueueSettings change a queue (SetQueue). What is zero stays as it is.
type QueueSettings struct {
	// Ageing is how long a task waits to gain one level of priority. Negative: never. The default of a queue
	// is a minute. Resolution 1 ms.
	Ageing time.Duration
	// Weights of partitions, 1 to 1,000; they are merged into those that are set, and 0 means back to 1, the
	// default. At most 1,000 partitions of a queue have one.
	Weights map[string]int
	// Success, Failure and Canceled bound the ended jobs of each state. Failure is the dead set.
	Success, Failure, Canceled *Retention
	// Budget bounds the unfinished jobs; a Submit above it gives ErrOverBudget.
	Budget *Budget
}

// Retention bounds the ended jobs of a queue in one state: those above it are purged, oldest first, also
// before their own Retain is over. Zero fields mean the default age (a day for Success, else a week), and no
// bound of count and bytes.
type Retention struct {
	Age   time.Duration // of jobs that end from now on and have no Retain of their own
	Count int
	Bytes int64 // of inputs and results
}

// Budget bounds what is taken in; 0 is no bound.
type Budget struct {
	Jobs  int   // unfinished
	Bytes int64 // of inputs and results: of a queue's unfinished jobs; of all jobs that the cluster holds
}

// ErrOverBudget: the queue or the cluster holds as many jobs or bytes as its budget allows. It is answered at
// once; the *APIError says in RetryAfter when trying again makes sense.
var ErrOverBudget = errors.New("over budget")

// ErrQueueDraining: the queue takes no new jobs (DrainQueue).
var ErrQueueDraining = errors.New("queue draining")

// Queue is a queue as it is now, by a linearizable read. One that no job and no worker has named gives ErrNotFound.
func (c *Client) Queue(ctx context.Context, name string) (q *QueueStatus, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.GetQueue(ctx, connect.NewRequest(&apiv1.GetQueueRequest{Name: c.queueName(name)}))
		if err == nil {
			q = res.Msg.Queue
		}
		return err
	})
	return q, queueError("read", name, err)
}

// Queues lists the queues of the namespace by name.
func (c *Client) Queues(ctx context.Context) (all []*QueueStatus, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListQueues(ctx, connect.NewRequest(&apiv1.ListQueuesRequest{Namespace: c.cfg.Namespace}))
		if err == nil {
			all = res.Msg.Queues
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: list queues: %w", err)
	}
	return all, nil
}

// SetQueue changes settings of a queue, which is made when it is not there.
func (c *Client) SetQueue(ctx context.Context, name string, s QueueSettings) error {
	set := &apiv1.QueueSettings{Success: s.Success.message(), Failure: s.Failure.message(), Canceled: s.Canceled.message(), Budget: s.Budget.message()}
	if s.Ageing != 0 {
		ms := int64(-1)
		if s.Ageing > 0 {
			ms = milliseconds(s.Ageing)
		}
		set.AgeingMs = &ms
	}
	for partition, w := range s.Weights {
		if w < 0 || w > 1000 {
			return fmt.Errorf("sdk: set queue %s: %w: partition %q has weight %d, not 0 to 1,000", name, ErrInvalid, partition, w)
		}
		if set.Weights == nil {
			set.Weights = make(map[string]uint32)
		}
		set.Weights[partition] = uint32(w)
	}
	return c.onQueue(ctx, "set", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.SetQueue(ctx, connect.NewRequest(&apiv1.SetQueueRequest{Name: c.queueName(name), Settings: set}))
		return err
	})
}

// PauseQueue stops the grants of a queue: what runs goes on, what waits keeps its place.
func (c *Client) PauseQueue(ctx context.Context, name string) error {
	return c.onQueue(ctx, "pause", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.PauseQueue(ctx, connect.NewRequest(&apiv1.PauseQueueRequest{Name: c.queueName(name)}))
		return err
	})
}

// ResumeQueue lets a queue grant again.
func (c *Client) ResumeQueue(ctx context.Context, name string) error {
	return c.onQueue(ctx, "resume", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.ResumeQueue(ctx, connect.NewRequest(&apiv1.ResumeQueueRequest{Name: c.queueName(name)}))
		return err
	})
}

// DrainQueue makes a queue refuse new jobs (ErrQueueDraining); what waits runs out, and so does what running
// jobs still send to it.
func (c *Client) DrainQueue(ctx context.Context, name string) error {
	return c.onQueue(ctx, "drain", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.DrainQueue(ctx, connect.NewRequest(&apiv1.DrainQueueRequest{Name: c.queueName(name)}))
		return err
	})
}

// UndrainQueue lets a queue take new jobs again.
func (c *Client) UndrainQueue(ctx context.Context, name string) error {
	return c.onQueue(ctx, "undrain", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.UndrainQueue(ctx, connect.NewRequest(&apiv1.UndrainQueueRequest{Name: c.queueName(name)}))
		return err
	})
}

// PurgeQueue cancels the jobs that only wait in a queue now, with the reason QUEUE_PURGED, and returns how
// many: nothing of them runs, and whatever of them may run is in this queue. It waits until the purge is
// done; if ctx ends before, the purge goes on.
func (c *Client) PurgeQueue(ctx context.Context, name string) (jobs int, err error) {
	err = c.onQueue(ctx, "purge", name, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.PurgeQueue(ctx, connect.NewRequest(&apiv1.PurgeQueueRequest{Name: c.queueName(name)}))
		return err
	})
	for err == nil {
		var q *QueueStatus
		if q, err = c.Queue(ctx, name); err == nil && !q.GetJobs().GetPurging() {
			return int(q.GetJobs().GetPurged()), nil
		}
		select {
		case <-time.After(purgePoll):
		case <-ctx.Done():
			return 0, fmt.Errorf("sdk: purge queue %s: %w", name, context.Cause(ctx))
		}
	}
	return 0, err
}

const purgePoll = 50 * time.Millisecond

// SetBudget bounds what the whole cluster takes in. Default: nothing does.
func (c *Client) SetBudget(ctx context.Context, b Budget) error {
	err := c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.SetBudget(ctx, connect.NewRequest(&apiv1.SetBudgetRequest{Budget: b.message()}))
		return err
	})
	if err != nil {
		return fmt.Errorf("sdk: set the cluster's budget: %w", err)
	}
	return nil
}

// Budget is what bounds the whole cluster, and what is used of it.
func (c *Client) Budget(ctx context.Context) (bound, used Budget, err error) {
	err = c.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.GetBudget(ctx, connect.NewRequest(&apiv1.GetBudgetRequest{}))
		if err == nil {
			b, u := res.Msg.GetBudget(), res.Msg.GetUsed()
			bound, used = Budget{int(b.GetJobs()), int64(b.GetBytes())}, Budget{int(u.GetJobs()), int64(u.GetBytes())}
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("sdk: read the cluster's budget: %w", err)
	}
	return bound, used, err
}

func (c *Client) queueName(name string) *apiv1.QueueName {
	return &apiv1.QueueName{Namespace: c.cfg.Namespace, Queue: name}
}

func (c *Client) onQueue(ctx context.Context, verb, name string, f func(context.Context, apiv1connect.FanfoldClient) error) error {
	return queueError(verb, name, c.retry(ctx, changing, f))
}

func queueError(verb, name string, err error) error {
	if err != nil {
		return fmt.Errorf("sdk: %s queue %s: %w", verb, name, err)
	}
	return nil
}

func (r *Retention) message() *apiv1.Retention {
	if r == nil {
		return nil
	}
	return &apiv1.Retention{AgeMs: milliseconds(r.Age), Count: uint64(max(0, r.Count)), Bytes: uint64(max(0, r.Bytes))}
}

func (b *Budget) message() *apiv1.Budget {
	if b == nil {
		return nil
	}
	return &apiv1.Budget{Jobs: uint64(max(0, b.Jobs)), Bytes: uint64(max(0, b.Bytes))}
}
