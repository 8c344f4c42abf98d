package workload

import (
	"context"
	"fmt"

	"github.com/fanfold/fanfold/jepsen-lite/history"
	"github.com/fanfold/fanfold/sdk"
)

// attachable is a task or a workflow.
type attachable[Out any] interface {
	Attach(c *sdk.Client, id string) *sdk.Job[Out]
}

// awaitAll waits for the end of every job whose submission was acknowledged.
func awaitAll[Out any](ctx context.Context, l *Load, u attachable[Out]) error {
	seen := map[string]bool{}
	for _, op := range l.History.Ops() {
		if op.Kind != "submit" || op.Outcome != history.OK || seen[op.Value] {
			continue
		}
		seen[op.Value] = true
		if _, err := u.Attach(l.Client, op.Value).Await(ctx); err != nil {
			return fmt.Errorf("job %s of key %s, which was acknowledged, has no result after healing: %w", op.Value, op.Key, err)
		}
	}
	return nil
}
