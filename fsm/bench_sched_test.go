package fsm

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// BenchmarkFeatures is BenchmarkLifecycle with a backlog, once plain and once with each feature that could
// slow it down; compare within one run.
func BenchmarkFeatures(b *testing.B) {
	graph := dag.Encode(chain(b, 1))
	with := func(o func(i int) *fsmpb.JobOptions) func() []*fsmpb.Command {
		i := 0
		return func() []*fsmpb.Command {
			cmds := benchSubmits(benchBatch, graph)
			for _, c := range cmds {
				i++
				raw, err := proto.Marshal(o(i))
				if err != nil {
					b.Fatal(err)
				}
				c.GetSubmitJob().Options = raw
			}
			return cmds
		}
	}
	plain := func() []*fsmpb.Command { return benchSubmits(benchBatch, graph) }
	partitions := func(n int) func() []*fsmpb.Command {
		return with(func(i int) *fsmpb.JobOptions { return &fsmpb.JobOptions{Partition: fmt.Sprint("tenant-", i%n)} })
	}
	wide := func(kind fsmpb.LimitKind, n uint64, per bool) *fsmpb.Limit {
		l := queueLimit(kind, n, 60_000, per)
		if kind == rateLimit {
			l.Burst = limitNMax
		}
		return l
	}
	for _, f := range []struct {
		name    string
		limit   *fsmpb.Limit // never full: what it costs to count
		submits func() []*fsmpb.Command
	}{
		{"plain", nil, plain},
		{"rate", wide(rateLimit, limitNMax, false), plain},
		{"window", wide(windowLimit, limitWindowMax, true), partitions(1000)},
		{"concurrency", wide(concurrently, limitNMax, false), plain},
		{"priorities", nil, with(func(i int) *fsmpb.JobOptions { return &fsmpb.JobOptions{Priority: uint32(1 + i%10)} })},
		{"partitions=10", nil, partitions(10)},
		{"partitions=1000", nil, partitions(1000)},
		{"partitions=1000,rate", wide(rateLimit, limitNMax, true), partitions(1000)},
		{"unique", nil, with(func(i int) *fsmpb.JobOptions {
			return &fsmpb.JobOptions{Unique: &fsmpb.Unique{Key: fmt.Sprint("key-", i)}}
		})},
	} {
		b.Run(f.name, func(b *testing.B) {
			_, apply := benchMachine(b)
			if f.limit != nil {
				apply(setLimitOf(f.limit))
			}
			for range 20 {
				apply(f.submits()...)
			}
			grants := apply(openWorker("w", benchBatch, "t")).Grants
			b.ResetTimer()
			for i := 0; i < b.N; i += benchBatch {
				b.StopTimer()
				cmds := f.submits()
				b.StartTimer()
				for _, g := range grants {
					cmds = append(cmds, complete(g, `{"ok":true}`))
				}
				grants = apply(cmds...).Grants
			}
		})
	}
}

// BenchmarkManyPartitions has 50,000 partitions of two tasks each. Refill grants the first of each right after
// a restart, when a lane has one task in memory, so that each reads on; change is one look at all of them,
// held back by a limit.
func BenchmarkManyPartitions(b *testing.B) {
	const partitions = 50_000
	graph := dag.Encode(chain(b, 1))
	fill := func(b *testing.B, l *fsmpb.Limit) *harness {
		h := newHarness(b)
		h.m.opts.CheckInvariants = false
		if l != nil {
			h.apply(setLimitOf(l))
		}
		for from := 0; from < 2*partitions; from += 1000 {
			cmds := benchSubmits(1000, graph)
			for i, c := range cmds {
				c.GetSubmitJob().Options, _ = proto.Marshal(&fsmpb.JobOptions{Partition: fmt.Sprint("tenant-", (from+i)%partitions)})
			}
			h.apply(cmds...)
		}
		return h
	}
	b.Run("refill", func(b *testing.B) {
		h := fill(b, nil)
		h.reopen()
		h.m.opts.CheckInvariants = false
		b.ResetTimer()
		for i := 0; i < b.N; i += 2000 {
			b.StopTimer()
			c := openWorker(fmt.Sprint("w", i), 2000, "t")
			b.StartTimer()
			h.apply(c)
		}
	})
	b.Run("change", func(b *testing.B) {
		l := queueLimit(rateLimit, 1, 3_600_000, true)
		h := fill(b, l)
		for r := h.apply(openWorker("w", 2000, "t")); len(r.Grants) > 0; {
			var cmds []*fsmpb.Command
			for _, g := range r.Grants {
				cmds = append(cmds, complete(g, `1`))
			}
			r = h.apply(cmds...)
		}
		b.ResetTimer()
		changes := max(1, b.N/partitions)
		for range changes {
			h.apply(setLimitOf(l))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(changes*partitions), "ns/partition")
	})
}
