package sdktest_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// The benchmarks are about the SDK's part of the work: one node in this process, no disk, no sockets, and
// the machine's invariants are not checked. `fanfold bench` measures real clusters.

func startBench(b *testing.B) *sdktest.Cluster {
	b.Helper()
	c, err := sdktest.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

// BenchmarkDrain runs no-op tasks that were submitted before.
func BenchmarkDrain(b *testing.B) {
	c := startBench(b)
	var done atomic.Int64
	all := make(chan struct{})
	noop := sdk.NewTask("noop", func(context.Context, int) (int, error) {
		if done.Add(1) == int64(b.N) {
			close(all)
		}
		return 1, nil
	})
	if _, err := sdk.SubmitBatch(context.Background(), c.Client(), noop, make([]int, b.N)); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	w := c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 256}}, noop)
	<-all
	b.StopTimer()
	if err := w.Stop(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSubmit has 64 callers with a job each.
func BenchmarkSubmit(b *testing.B) {
	c := startBench(b)
	noop := sdk.Declare[int, int]("noop")
	var callers sync.WaitGroup
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	for range 64 {
		callers.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if _, err := noop.Submit(context.Background(), c.Client(), 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// BenchmarkChain is one chain of ten steps after the other: latency.
func BenchmarkChain(b *testing.B) {
	c := startBench(b)
	inc := sdk.NewTask("inc", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	chain := sdk.NewWorkflow("chain", func(n sdk.Ref[int]) sdk.Ref[int] {
		for range 10 {
			n = sdk.Then(n, inc)
		}
		return n
	})
	c.StartWorker(sdk.WorkerConfig{}, chain)
	for b.Loop() {
		job, err := chain.Submit(context.Background(), c.Client(), 0)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := job.Await(context.Background()); n != 10 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkMap is one map over b.N items with a fold behind it.
func BenchmarkMap(b *testing.B) {
	c := startBench(b)
	c.StartWorker(sdk.WorkerConfig{Queues: map[string]int{"default": 256}}, squares)
	b.ResetTimer()
	job, err := squares.Submit(context.Background(), c.Client(), b.N)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := job.Await(context.Background()); err != nil {
		b.Fatal(err)
	}
}
