package bullmq

import (
	"context"
	"time"

	"github.com/fanfold/fanfold/sdk"
)

// The modes of deduplication: { id: "walls", ... }.
var (
	simple     = sdk.Unique(sdk.UniqueConfig{Key: "walls"})      // no ttl: until the job has ended
	throttle   = sdk.Throttle("walls", 5*time.Second)            // ttl: 5000
	debounce   = sdk.Debounce("walls", 5*time.Second, time.Hour) // ttl: 5000, extend, replace, delay: 5000
	keepLatest = sdk.KeepLatest("walls")                         // keepLastIfActive
)

// dedupe is queue.add with one of them.
func dedupe(ctx context.Context, client *sdk.Client, p Place, mode sdk.SubmitOption) (*sdk.Job[int], error) {
	return Paint.Submit(ctx, client, p, mode)
}
