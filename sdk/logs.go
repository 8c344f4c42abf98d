package sdk

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
)

// LogFilter selects lines of a job's log. The zero value selects all.
type LogFilter struct {
	Step   string       // only this step's
	Shard  *uint64      // only this item's of an Each
	Level  slog.Leveler // from this level up
	Follow bool         // go on until the job has ended
}

// LogEntry is a line of a job's log with its task and attempt.
type LogEntry = apiv1.TaskLogEntry

// logWait is how long one call of a follower stays on the server.
const logWait = 20 * time.Second

// Logs yields what the job's tasks have logged (Log), in the order in which it was stored. It survives
// failovers; an error ends it, and so does ctx, with its error.
func (c *Client) Logs(ctx context.Context, id string, f LogFilter) iter.Seq2[*LogEntry, error] {
	return func(yield func(*LogEntry, error) bool) {
		ctx, cancel := c.alive(ctx)
		defer cancel()
		q := &apiv1.ListLogsRequest{Id: id, Namespace: c.cfg.Namespace, Step: f.Step, Shard: f.Shard}
		if f.Level != nil {
			level := int32(f.Level.Level())
			q.MinLevel = &level
		}
		for {
			page, err := c.logPage(ctx, q, f.Follow)
			if err != nil {
				yield(nil, fmt.Errorf("sdk: logs of job %s: %w", id, err))
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
			}
			if !page.More && (page.Ended || !f.Follow) {
				return
			}
			q.After = page.Next
		}
	}
}

// logPage reads a page. While a follower waits, its calls have a bound of their own.
func (c *Client) logPage(ctx context.Context, q *apiv1.ListLogsRequest, follow bool) (page *apiv1.ListLogsResponse, err error) {
	p := reading
	if follow {
		q.WaitMs = logWait.Milliseconds()
		p.bound = logWait + tryTimeout
	}
	err = c.retry(ctx, p, func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ListLogs(ctx, connect.NewRequest(q))
		if err == nil {
			page = res.Msg
		}
		return err
	})
	return page, err
}
