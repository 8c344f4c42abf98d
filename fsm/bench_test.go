package fsm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fanfold/fanfold/dag"
	"github.com/fanfold/fanfold/fsm/fsmpb"
)

// The benchmarks apply entries of 500 commands to a machine on disk, as a follower does: no Raft, no
// network. One operation is one task.

func benchMachine(b testing.TB) (*Machine, func(cmds ...*fsmpb.Command) *Result) {
	m, err := Open(vfs.Default, b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	index := uint64(0)
	return m, func(cmds ...*fsmpb.Command) *Result {
		data, err := EncodeEntry(int64(index), cmds)
		if err != nil {
			b.Fatal(err)
		}
		index++
		r, err := m.Apply([]LogEntry{{Index: index, Term: 1, Data: data}})
		if err != nil {
			b.Fatal(err)
		}
		return r[0]
	}
}

func benchSubmits(n int, graph []byte) []*fsmpb.Command {
	in := `{"payload":"` + strings.Repeat("x", 186) + `"}`
	cmds := make([]*fsmpb.Command, n)
	for i := range cmds {
		benchID++
		id := binary.BigEndian.AppendUint64(make([]byte, 8, 16), benchID)
		cmds[i] = &fsmpb.Command{Kind: &fsmpb.Command_SubmitJob{SubmitJob: &fsmpb.SubmitJob{Job: id, Namespace: "default", Graph: graph, Input: inline(in)}}}
	}
	return cmds
}

var benchID uint64 // in order, as ULIDs are

const benchBatch = 500

func BenchmarkSubmit(b *testing.B) {
	_, apply := benchMachine(b)
	graph := dag.Encode(chain(b, 1))
	for i := 0; i < b.N; i += benchBatch {
		apply(benchSubmits(benchBatch, graph)...)
	}
}

// BenchmarkLifecycle submits, leases and completes; the pending backlog is given.
func BenchmarkLifecycle(b *testing.B) {
	for _, backlog := range []int{0, 100_000} {
		b.Run(fmt.Sprint("backlog=", backlog), func(b *testing.B) {
			_, apply := benchMachine(b)
			graph := dag.Encode(chain(b, 1))
			for i := 0; i < backlog; i += benchBatch {
				apply(benchSubmits(benchBatch, graph)...)
			}
			grants := apply(openWorker("w", benchBatch, "t")).Grants
			b.ResetTimer()
			for i := 0; i < b.N; i += benchBatch {
				cmds := benchSubmits(benchBatch, graph)
				for _, g := range grants {
					cmds = append(cmds, complete(g, `{"ok":true}`))
				}
				grants = apply(cmds...).Grants
			}
		})
	}
}

// BenchmarkMap completes the shards of one map over a million items, folded as they land.
func BenchmarkMap(b *testing.B) {
	_, apply := benchMachine(b)
	grants := apply(openWorker("w", benchBatch, "t", "sum")).Grants
	next := 0
	b.ResetTimer()
	for n := 0; n < b.N; n += len(grants) {
		var cmds []*fsmpb.Command
		for _, g := range grants {
			cmds = append(cmds, complete(g, `1`))
		}
		if len(grants) < benchBatch/2 {
			b.StopTimer()
			up, v := upload(fmt.Sprint("doc", next), []byte("["+strings.Repeat("1,", 999_999)+"1]"))
			c := submit(fmt.Sprint("map", next), mapFold(b, 16, dag.Options{}), "")
			c.GetSubmitJob().Input = v
			for _, u := range up {
				apply(u)
			}
			cmds = append(cmds, c)
			next++
			b.StartTimer()
		}
		grants = apply(cmds...).Grants
	}
}
