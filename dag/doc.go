// Package dag holds workflows as values: graphs of steps, the lists that flow between them, and the
// arithmetic of running them. It is the ground floor: pure, without clock, disk or goroutine, and
// importing only the standard library, so that every replica computes the same from the same bytes.
//
// What it does:
//
//   - Builder makes a Graph and reports every problem at once; Encode and Decode are its one stored
//     form; Parse and String are a form of two lines for tests and documents.
//   - Graph.Release says which steps may run once another is done, in O(out-degree).
//   - Tree is the shape of a fold: which node takes which leaves, and who is whose parent.
//   - List walks the items of a list expression by a small storable Cursor, so that a map of a
//     million items over a document of 64 MiB is never held in memory; Render writes any expression.
//   - Retry is a policy of integers, so that a delay is the same on every machine.
//
// What it does not do: it knows no task's state, no lease and no time. Package fsm holds those and
// asks here what they mean for the graph.
//
// A Graph is immutable and may be shared. A List belongs to one goroutine.
//
//	b := dag.NewBuilder("wordcount")
//	splits := b.Task("plan", dag.Step{Task: "wc.plan", Input: dag.Input()})
//	counts := b.Map("count", dag.Step{Task: "wc.count", Input: splits})
//	b.Output(b.Fold("merge", dag.Step{Task: "wc.merge", Input: counts}))
//	g, err := b.Build()
package dag
