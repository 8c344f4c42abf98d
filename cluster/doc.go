// Package cluster makes nodes of state machines: Raft under the machine, a leader's engine on top,
// members, snapshots, and the API server in front.
//
// Where to start reading: Node.Run in node.go lists everything that runs. From there
//
//	meet.go         how a node with an empty data directory begins: it founds a cluster, or joins one
//	instance.go     one hashicorp/raft instance from start to shutdown
//	reconcile.go    the log and the state agree: before Raft starts, and when a snapshot is installed
//	leadership.go   what a node does while it leads: barrier, engine, the end of the term
//	replica.go      raft.FSM over fsm.Machine: applying, flushing, installing a snapshot
//	log.go          engine.Log over raft.Apply: which errors mean "not appended", which "unknown"
//	logstore.go, votes.go, watchdog.go   the disk, guarded: a stall or an error ends the process
//	snapshotstore.go, statedir.go   the state directory is the snapshot
//	members.go, join.go   adding, removing, joining
//	server.go, forward.go   the API, and passing calls on to the leader
//
// What is promised and by whom:
//
//   - An entry that Raft has committed is applied once, in order, by every replica (fsm skips what it
//     has applied before, so a replay after a crash is exact).
//   - The log is never cut past what the state has on disk (guardedLog), and never contradicts the
//     state (reconcile.go).
//   - A disk that hangs or fails ends the process with a code that names it (exit.go): the one thing
//     that must not happen is a leader that cannot write and keeps its leadership.
package cluster
