package sdktest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// The rows about unique keys and batches.

// Pain 23: elsewhere a lock outlives its job, and new work is dropped in silence.
func keyDiesWithItsHolder(t *testing.T) {
	c := sdktest.NewCluster(t, 3)
	task := sdk.NewTask("unique", func(ctx context.Context, end string) (string, error) {
		switch end {
		case "fails":
			return "", sdk.Permanent(errPain)
		case "is canceled", "loses its worker":
			return "", sleep(ctx, time.Minute)
		}
		return end, nil
	}, sdk.Retry(sdk.RetryPolicy{CrashLimit: 1}))
	submit := func(end string) *sdk.Job[string] {
		t.Helper()
		return must(task.Submit(t.Context(), c.Client(), end, sdk.Unique(sdk.UniqueConfig{Key: "the-key"})))(t)
	}
	for _, end := range []string{"succeeds", "fails", "is canceled", "loses its worker"} {
		holder := submit(end)
		id := c.KillLeader() // the next leader knows of the key, and of its end
		c.Leader()
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
		if again := submit("another"); holder.Existing() || !again.Existing() || again.ID() != holder.ID() {
			t.Fatalf("%s: while the holder %s lives a second submission is job %s", end, holder.ID(), again.ID())
		}
		w := c.StartWorker(sdk.WorkerConfig{LeaseTTL: 5 * time.Second}, task)
		time.Sleep(time.Second)
		switch end {
		case "is canceled":
			if err := holder.Cancel(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
		case "loses its worker":
			w.Isolate()
		}
		_, _ = await(t, holder) // in whatever way
		next := submit("succeeds")
		if next.Existing() {
			t.Errorf("%s: the key is still held after the holder's end", end)
		}
		if end == "loses its worker" { // and with it the one that could run the next
			if err := next.Cancel(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
		} else {
			result(t, next)
		}
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// Pain 6, with batches: elsewhere the callback comes twice or never.
func batchCallsBackOnce(t *testing.T) {
	c := sdktest.NewCluster(t, 1)
	done := sdk.Declare[sdk.BatchOutcome[string], int]("batch.done")
	batch := must(c.Client().NewBatch(t.Context(), sdk.BatchConfig{OnSuccess: sdk.Callback(done, "s"), OnComplete: sdk.Callback(done, "c")}))(t)
	must(sdk.SubmitBatch(t.Context(), c.Client(), square, []int{1, 2, 3, 4}, sdk.InBatch(batch)))(t)
	if err := batch.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := startHandWorker(t, c, 8, square.Name(), done.Name())
	synctest.Wait()
	members := take(w.assigned)
	if len(members) != 4 {
		t.Fatalf("%d members", len(members))
	}
	for _, m := range members[:3] {
		w.report("1", m, m, m)
	}
	w.report("1", members[:3]...)
	synctest.Wait()
	if n := len(w.assigned); n != 0 {
		t.Fatal("three members reported four times each were taken for all four")
	}
	w.report("1", members[3], members[3])
	w.report("1", members...)
	time.Sleep(time.Minute)
	if n := len(w.assigned); n != 2 {
		t.Errorf("%d callbacks, want one on success and one on completion", n)
	}
	if s := must(batch.Status(t.Context()))(t); s.Total != 4 || s.Succeeded != 4 || s.Live != 0 {
		t.Errorf("the batch has %d members, %d succeeded, %d live", s.Total, s.Succeeded, s.Live)
	}
}
