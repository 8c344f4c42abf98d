// Package fsm is Fanfold's replicated state machine, and its scheduler.
//
// Apply(entries) is the only way to change the state. Every replica applies the same entries in the
// same order and comes to the same state, byte for byte: there is no clock, no network, no randomness,
// no goroutine and no map order in what an entry does. Which worker gets which task is decided here
// too, in the entry that made the task runnable, so a new leader has nothing to rebuild.
//
// The life of a task: SubmitJob (or a parent's CompleteTask) makes it PENDING and puts it into its
// lane; match leases it to a free slot: STARTED; CompleteTask stores its result and releases what
// waited for it; FailTask, a lost session or a backoff's timer bring it back. Moves is the whole table.
//
//	submit_job.go    complete_task.go    open_session.go     one file a command: contract,
//	cancel_job.go    fail_task.go        close_session.go    refusals, effect
//	retry_job.go     release_task.go     put_chunk.go
//	purge_job.go     init_cluster.go
//	apply.go         the list of commands; one entry from its time to its leases
//	progress.go      how a job goes on: start, activate, stepDone, fail, end, cancelLive
//	expand.go        maps and folds: one object with a cursor, shards as they are needed
//	match.go         runnable tasks meet free slots
//	lane.go window.go timer.go   orders in Pebble with a bounded head in memory
//	keys.go codec.go             the keyspace and the records
//	tx.go            the state during one Apply, written by one batch
//	view.go source.go            reading
//	snapshot.go hash.go          the state as a stream, and its hash
//	invariants.go    what must hold after every entry, recomputed
//
// Three kinds of "no": a Refusal is an answer, the same on every replica; a fault (this machine's disk,
// a damaged record) is returned by Apply as an error and stops the process; a bug panics with both states.
package fsm
