package fsm

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// cost is what one task takes, in counts that do not depend on the machine or on what else runs there.
type cost struct {
	log    int     // bytes of the log entry
	keys   float64 // keys that are written to Pebble or removed from it
	state  int     // bytes of these, keys and values
	allocs float64 // allocations of Apply, decoding included
}

// costs are the most that each piece of work may take, for a payload of 200 bytes and in entries of 500 commands. The
// test fails above, and far below too: then write down here what was gained, so that it stays.
var costs = map[string]cost{
	"submit":            {log: 371, keys: 3, state: 370, allocs: 12.2},
	"submit, with keys": {log: 393, keys: 5, state: 488, allocs: 18.4},
	"complete, next":    {log: 47, keys: 7, state: 380, allocs: 19.3},
	"step of a chain":   {log: 49, keys: 7, state: 661, allocs: 15.4},
	"shard of a map":    {log: 40, keys: 5.2, state: 222, allocs: 23.4},
}

// TestCost_NothingHasBecomeDearer is the guard of performance that needs no quiet machine.
func TestCost_NothingHasBecomeDearer(t *testing.T) {
	got := map[string]cost{
		"submit":            costOfSubmit(t, func(*fsmpb.SubmitJob) {}),
		"submit, with keys": costOfSubmit(t, func(c *fsmpb.SubmitJob) { c.Key = fmt.Sprintf("key-%x", c.Job[8:]) }),
		"complete, next":    costOfChain(t, 1),
		"step of a chain":   costOfChain(t, 10),
		"shard of a map":    costOfMap(t),
	}
	for name, most := range costs {
		check(t, name+": bytes of the log", float64(got[name].log), float64(most.log), 0.02)
		check(t, name+": keys", got[name].keys, most.keys, 0.02)
		check(t, name+": bytes of keys and values", float64(got[name].state), float64(most.state), 0.02)
		check(t, name+": allocations", got[name].allocs, most.allocs, 0.10)
	}
}

func check(t *testing.T, what string, got, most, slack float64) {
	t.Helper()
	switch {
	case got > most*(1+slack):
		t.Errorf("%s: %.2f for a task, at most %.2f are allowed", what, got, most)
	case got < most*(1-2*slack):
		t.Errorf("%s: %.2f for a task, and %.2f are allowed: note the gain in costs", what, got, most)
	}
}

// meter applies entries to a machine in memory and adds up what they take.
type meter struct {
	t     *testing.T
	m     *Machine
	index uint64
	cost
	mallocs uint64
}

func newMeter(t *testing.T) *meter {
	m, err := Open(vfs.NewMem(), "state", Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return &meter{t: t, m: m}
}

func (x *meter) apply(cmds ...*fsmpb.Command) *Result {
	x.t.Helper()
	x.index++
	data, err := EncodeEntry(int64(x.index), cmds)
	if err != nil {
		x.t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	entry, err := DecodeEntry(data)
	if err != nil {
		x.t.Fatal(err)
	}
	x.m.begin()
	result := x.m.apply(LogEntry{Index: x.index, Term: 1, Data: data}, entry)
	runtime.ReadMemStats(&after)
	batch := x.m.db.NewBatch()
	x.m.tx.flush(batch) // commit does the same again
	x.log += len(data)
	x.keys += float64(batch.Count())
	x.state += batch.Len()
	x.mallocs += after.Mallocs - before.Mallocs
	if err := batch.Close(); err != nil {
		x.t.Fatal(err)
	}
	x.m.commit()
	return result
}

// per is what was taken since, for one of n.
func (x *meter) per(n int) cost {
	return cost{log: x.log / n, keys: x.keys / float64(n), state: x.state / n, allocs: float64(x.mallocs) / float64(n)}
}

func (x *meter) reset() { x.cost, x.mallocs = cost{}, 0 }

const costRounds = 10

func costOfSubmit(t *testing.T, with func(*fsmpb.SubmitJob)) cost {
	x, graph := newMeter(t), dag.Encode(chain(t, 1))
	for round := range costRounds + 1 {
		if round == 1 {
			x.reset() // the first one makes names, caches and the graph
		}
		cmds := benchSubmits(benchBatch, graph)
		for _, c := range cmds {
			with(c.GetSubmitJob())
		}
		x.apply(cmds...)
	}
	return x.per(costRounds * benchBatch)
}

// costOfChain is a completion with the lease that follows on it.
func costOfChain(t *testing.T, steps int) cost {
	x, graph := newMeter(t), dag.Encode(chain(t, steps))
	for range 2*costRounds/steps + 2 {
		x.apply(benchSubmits(benchBatch, graph)...)
	}
	grants := x.apply(openWorker("w", benchBatch, "t")).Grants
	done := 0
	for round := range costRounds + 1 {
		if round == 1 {
			x.reset()
			done = 0
		}
		grants = x.apply(completeAll(grants, `{"ok":true}`)...).Grants
		done += len(grants)
	}
	if done != costRounds*benchBatch {
		t.Fatalf("%d tasks were leased", done)
	}
	return x.per(done)
}

func costOfMap(t *testing.T) cost {
	x := newMeter(t)
	grants := x.apply(openWorker("w", benchBatch, "t", "sum")).Grants
	c := submit("map", mapFold(t, 16, dag.Options{}), "["+strings.Repeat("1,", 20_000)+"1]")
	grants = append(grants, x.apply(c).Grants...)
	done := 0
	for round := range costRounds + 1 {
		if round == 1 {
			x.reset()
			done = 0
		}
		done += len(grants)
		grants = x.apply(completeAll(grants, `1`)...).Grants
	}
	return x.per(done)
}

func completeAll(grants []Grant, value string) (cmds []*fsmpb.Command) {
	for _, g := range grants {
		cmds = append(cmds, complete(g, value))
	}
	return cmds
}
