package fsm

import (
	"fmt"
	"testing"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// sharing is a worker with shared slots on queues first to first+n-1.
func sharing(worker string, slots uint32, first, n int) *fsmpb.Command {
	c := openWorker(worker, 1, "t")
	o := c.GetOpenSession()
	o.Slots, o.Queues = slots, nil
	for q := first; q < first+n; q++ {
		o.Queues = append(o.Queues, &fsmpb.QueueSlots{Queue: fmt.Sprint("queue-", q), Slots: 1})
	}
	return c
}

// TestFreeSlot_OnlyQueuesThatHaveATaskAreLookedAt: a shared slot that becomes free is looked for in those
// of the worker's queues that have something for it, however many it serves.
func TestFreeSlot_OnlyQueuesThatHaveATaskAreLookedAt(t *testing.T) {
	h := newHarness(t)
	r := h.apply(sharing("w", 1, 0, 200),
		partitioned(t, "a", "", dag.Options{Queue: "queue-7"}),
		partitioned(t, "b", "", dag.Options{Queue: "queue-7"}),
		partitioned(t, "c", "", dag.Options{Queue: "queue-150"}))
	if len(r.Grants) != 1 || len(h.m.checks) != 0 {
		t.Fatalf("%d grants of one slot", len(r.Grants))
	}
	(&tx{m: h.m}).freeSlot(h.m.sharing[0].slots[7])
	if len(h.m.checks) != 2 {
		t.Errorf("%d queues are looked at; 2 have a task", len(h.m.checks))
	}
}

// BenchmarkManyQueues is a task's life in one of 10,000 queues, with 40 workers that serve 250 of them each:
// entries of 50 tasks. One operation is one task.
func BenchmarkManyQueues(b *testing.B) {
	for _, queues := range []int{10, 10_000} {
		b.Run(fmt.Sprint("queues=", queues), func(b *testing.B) {
			_, apply := benchMachine(b)
			workers := max(1, queues/250)
			for w := range workers {
				apply(sharing(fmt.Sprint("w", w), uint32(512/workers), w*queues/workers, queues/workers))
			}
			const entry = 50
			graphs := make([][]byte, queues)
			for q := range graphs {
				graphs[q] = dag.Encode(queued(b, fmt.Sprint("queue-", q)))
			}
			next := 0
			var grants []Grant
			turn := func() {
				var cmds []*fsmpb.Command
				for range entry {
					next = (next + 7919) % queues
					cmds = append(cmds, benchSubmits(1, graphs[next])...)
				}
				for _, g := range grants {
					cmds = append(cmds, complete(g, `{"ok":true}`))
				}
				grants = apply(cmds...).Grants
			}
			for range queues/entry + 1 {
				turn()
			}
			b.ResetTimer()
			for i := 0; i < b.N; i += entry {
				turn()
			}
			if len(grants) != entry {
				b.Fatalf("%d grants in an entry of %d tasks", len(grants), entry)
			}
		})
	}
}

// queued is a graph of one task in a queue.
func queued(t testing.TB, queue string) *dag.Graph {
	return build(t, "one", func(b *dag.Builder) {
		b.Output(b.Task("s", dag.Step{Task: "t", Input: dag.Input(), Options: dag.Options{Queue: queue}}))
	})
}
