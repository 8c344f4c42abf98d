package sdktest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"

	"github.com/fanfold/fanfold/fsm"
	"github.com/fanfold/fanfold/sdk"
	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
	"github.com/fanfold/fanfold/sdk/api/v1/apiv1connect"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

var increment = sdk.NewTask("entries.increment", func(_ context.Context, n int) (int, error) { return n + 1, nil })

var tenSteps = sdk.NewWorkflow("entries.chain", func(n sdk.Ref[int]) sdk.Ref[int] {
	for range 10 {
		n = sdk.Then(n, increment)
	}
	return n
})

var countItems = sdk.NewTask("entries.count", func(_ context.Context, items []int) (int, error) { return len(items), nil })

var million = sdk.NewWorkflow("entries.map", func(list sdk.Ref[[]int]) sdk.Ref[int] {
	return sdk.FoldTo(sdk.Each(list, increment), countItems, sum)
})

// lastIndex is the last index of the log of a cluster's leader.
func lastIndex(t *testing.T, c *sdktest.Cluster) (index uint64) {
	t.Helper()
	err := c.Client().Call(t.Context(), func(ctx context.Context, api apiv1connect.FanfoldClient) error {
		res, err := api.ClusterStatus(ctx, connect.NewRequest(&apiv1.ClusterStatusRequest{}))
		if err == nil {
			index = res.Msg.LastLogIndex
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// TestEntries_AChainOfTenCostsEleven: one entry submits the job and leases its first step; each result
// stores itself, releases the next step and leases it, in one entry.
func TestEntries_AChainOfTenCostsEleven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		c.StartWorker(sdk.WorkerConfig{}, tenSteps)
		synctest.Wait()
		before := lastIndex(t, c)
		job, err := tenSteps.Submit(t.Context(), c.Client(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.Await(t.Context()); err != nil || got != 10 {
			t.Fatalf("%d, %v", got, err)
		}
		if n := lastIndex(t, c) - before; n != 11 {
			t.Errorf("the chain of 10 steps cost %d log entries, want 11", n)
		}
	})
}

// TestEntries_AMapOfAMillionIsMadeByOne: its items are uploaded in chunks before; the map itself, with
// a million tasks to come, is one entry.
func TestEntries_AMapOfAMillionIsMadeByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.NewCluster(t, 1)
		items := make([]int, 1_000_000)
		before := lastIndex(t, c)
		job, err := million.Submit(t.Context(), c.Client(), items)
		if err != nil {
			t.Fatal(err)
		}
		chunks := uint64(2*len(items)+1+fsm.ChunkBytes-1) / fsm.ChunkBytes // "[0,0,...,0]"
		if n := lastIndex(t, c) - before; n != chunks+1 {
			t.Errorf("%d log entries, want %d chunks and 1", n, chunks)
		}
		status, err := job.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s := status.Steps[0]; s.Total != 1_000_000 || s.Pending != 1_000_000 {
			t.Errorf("the map has %d items, %d of them waiting; want a million", s.Total, s.Pending)
		}
	})
}
