package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// States of a batch beside Success and Canceled.
const (
	BatchOpen     State = "OPEN"     // takes jobs; not decided while it is open
	BatchClosed   State = "CLOSED"   // decided when its last job has ended
	BatchComplete State = "COMPLETE" // all jobs have ended, not all with success
	BatchExpired  State = "EXPIRED"  // what had not ended at its time was canceled
)

// BatchStatus is what the API says about a batch.
type BatchStatus = apiv1.Batch

// BatchConfig is a batch that is to be made. The zero value of each field means its default.
type BatchConfig struct {
	// ID is a ULID (NewJobID). Creating a batch again under the same id, by the same configuration, is the
	// same batch. Default: a new one.
	ID string
	// Name is for people.
	Name string
	// OnSuccess is made when the batch is closed and all of its jobs have succeeded; also later, when those that
	// had failed were run again.
	OnSuccess *BatchCallback
	// OnComplete is made when the batch is closed and all of its jobs have ended, in whatever way: a job that was
	// canceled or has expired is complete, and no success.
	OnComplete *BatchCallback
	// OnDeath is made when the first job has failed for good.
	OnDeath *BatchCallback
	// Expires is the time at which jobs that have not ended are canceled. Zero: never.
	Expires time.Time
	// Retain is how long the batch is kept after its end. Default 7 days.
	Retain time.Duration
}

// BatchCallback is a job that a batch makes, exactly once, in the log entry that decides it.
type BatchCallback struct {
	graph, data []byte
	err         error
}

// BatchOutcome is the input of a callback: how the batch stands, and the data that Callback was given.
type BatchOutcome[T any] struct {
	Event     string `json:"event"` // "success", "complete" or "death"
	Batch     string `json:"batch"`
	Name      string `json:"name"`
	State     State  `json:"state"`
	Total     uint64 `json:"total"`
	Succeeded uint64 `json:"succeeded"`
	Failed    uint64 `json:"failed"`
	Canceled  uint64 `json:"canceled"`
	Job       string `json:"job,omitempty"` // death: the job that has failed
	Data      T      `json:"data"`
}

// Callback is a task or workflow that a batch calls, with data of the caller's: at most 64 KiB of JSON.
func Callback[T, Out any](u Submittable[BatchOutcome[T], Out], data T) *BatchCallback {
	graph, err := u.encodedGraph()
	doc, dataErr := json.Marshal(data)
	return &BatchCallback{graph: graph, data: doc, err: errors.Join(err, dataErr)}
}

func (b *BatchCallback) message() *apiv1.BatchCallback {
	if b == nil {
		return nil
	}
	return &apiv1.BatchCallback{Graph: b.graph, Data: b.data}
}

// Batch is the handle of a group of jobs. It holds no state but the id and is safe for concurrent use.
type Batch struct {
	id     string
	client *Client
}

// NewBatch makes an open batch. Jobs join it by the submit option InBatch; Close says that no more come from
// outside.
func (c *Client) NewBatch(ctx context.Context, cfg BatchConfig) (*Batch, error) {
	req := &apiv1.CreateBatchRequest{
		Id: cfg.ID, Namespace: c.cfg.Namespace, Name: cfg.Name, RetainMs: milliseconds(cfg.Retain),
		OnSuccess: cfg.OnSuccess.message(), OnComplete: cfg.OnComplete.message(), OnDeath: cfg.OnDeath.message(),
	}
	if req.Id == "" {
		req.Id = NewJobID()
	}
	if !cfg.Expires.IsZero() {
		req.ExpiresMs = cfg.Expires.UnixMilli()
	}
	for _, cb := range []*BatchCallback{cfg.OnSuccess, cfg.OnComplete, cfg.OnDeath} {
		if cb != nil && cb.err != nil {
			return nil, fmt.Errorf("sdk: new batch: %w: callback: %w", ErrInvalid, cb.err)
		}
	}
	err := c.retry(ctx, changing, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.CreateBatch(ctx, connect.NewRequest(req))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: new batch: %w", err)
	}
	return c.Batch(req.Id), nil
}

// Batch is the handle of a batch that was made before, maybe by another program. It asks nothing.
func (c *Client) Batch(id string) *Batch { return &Batch{id: id, client: c} }

// ID is the batch's id, a ULID.
func (b *Batch) ID() string { return b.id }

// Close says that no more jobs come from outside: the batch is decided when its last job has ended, at once when none
// lives. Its own jobs may still add some, for while they run it is not decided. Again: nothing changes.
func (b *Batch) Close(ctx context.Context) error {
	return b.client.change(ctx, "close batch "+b.id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.CloseBatch(ctx, connect.NewRequest(&apiv1.CloseBatchRequest{Id: b.id, Namespace: b.client.cfg.Namespace}))
		return err
	}, nil)
}

// Reopen takes Close back while a job of the batch lives. Afterwards it gives ErrConflict.
func (b *Batch) Reopen(ctx context.Context) error {
	return b.client.change(ctx, "reopen batch "+b.id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.ReopenBatch(ctx, connect.NewRequest(&apiv1.ReopenBatchRequest{Id: b.id, Namespace: b.client.cfg.Namespace}))
		return err
	}, nil)
}

// Cancel cancels the jobs of the batch that live, at most 100 of them in a log entry, and takes no more. The batch
// has ended, complete and without success, when all of them have.
func (b *Batch) Cancel(ctx context.Context, reason string) error {
	return b.client.change(ctx, "cancel batch "+b.id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.CancelBatch(ctx, connect.NewRequest(&apiv1.CancelBatchRequest{Id: b.id, Namespace: b.client.cfg.Namespace, Reason: reason}))
		return err
	}, nil)
}

// Purge removes a batch that has ended; its jobs stay. One that has not gives ErrNotEnded.
func (b *Batch) Purge(ctx context.Context) error {
	return b.client.change(ctx, "purge batch "+b.id, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		_, err := api.PurgeBatch(ctx, connect.NewRequest(&apiv1.PurgeBatchRequest{Id: b.id, Namespace: b.client.cfg.Namespace}))
		return err
	}, ErrNotFound)
}

// Status is the batch as it is now, by a linearizable read.
func (b *Batch) Status(ctx context.Context) (status *BatchStatus, err error) {
	err = b.client.retry(ctx, reading, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.GetBatch(ctx, connect.NewRequest(&apiv1.GetBatchRequest{Id: b.id, Namespace: b.client.cfg.Namespace}))
		if err == nil {
			status = res.Msg.Batch
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sdk: status of batch %s: %w", b.id, err)
	}
	return status, nil
}

// batchPause bounds the pause between two looks of Await.
const batchPause = time.Second

// Await looks at the batch, at least once a second, until it has ended: COMPLETE, SUCCESS, CANCELED or
// EXPIRED. A batch that is COMPLETE may still succeed, when its failed jobs are run again.
func (b *Batch) Await(ctx context.Context) (*BatchStatus, error) {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, batchPause) {
		status, err := b.Status(ctx)
		if err != nil {
			return nil, err
		}
		switch State(status.State) {
		case BatchComplete, Success, Canceled, BatchExpired:
			return status, nil
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("sdk: await batch %s: %w", b.id, context.Cause(ctx))
		}
	}
}

// Jobs yields the batch's jobs by id, oldest first, with the state in which each ended (RUNNING before), also of
// those that were purged. state "" is all.
func (b *Batch) Jobs(ctx context.Context, state State) iter.Seq2[*apiv1.BatchJob, error] {
	return pages(ctx, b.client, "jobs of batch "+b.id,
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*apiv1.BatchJob, string, error) {
			res, err := api.ListBatchJobs(ctx, connect.NewRequest(&apiv1.ListBatchJobsRequest{Id: b.id, Namespace: b.client.cfg.Namespace, State: string(state), PageSize: 1000, PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Jobs, res.Msg.NextPageToken, nil
		})
}

// Batches yields the batches of the client's namespace, newest first. state "" is all.
func (c *Client) Batches(ctx context.Context, state State) iter.Seq2[*BatchStatus, error] {
	return pages(ctx, c, "list batches",
		func(ctx context.Context, api apiv1connect.FanfoldClient, token string) ([]*BatchStatus, string, error) {
			res, err := api.ListBatches(ctx, connect.NewRequest(&apiv1.ListBatchesRequest{Namespace: c.cfg.Namespace, State: string(state), PageToken: token}))
			if err != nil {
				return nil, "", err
			}
			return res.Msg.Batches, res.Msg.NextPageToken, nil
		})
}
