package workload

import (
	"fmt"

	"github.com/fanfold/fanfold/jepsen-lite/history"
)

// awaitAll waits for the end of every job whose submission was acknowledged.
func awaitAll(l *Load, await func(id string) error) error {
	seen := map[string]bool{}
	for _, op := range l.History.Ops() {
		if op.Kind != "submit" || op.Outcome != history.OK || seen[op.Value] {
			continue
		}
		seen[op.Value] = true
		if err := await(op.Value); err != nil {
			return fmt.Errorf("job %s of key %s, which was acknowledged, has no result after healing: %w", op.Value, op.Key, err)
		}
	}
	return nil
}
