// Package cluster makes nodes of state machines: Raft under the machine, a leader's engine on top,
// members, snapshots, and the API server in front.
//
// Where to start reading: Node.Run in node.go lists everything that runs. From there
//
//	instance.go     one hashicorp/raft instance from start to shutdown, and when it is started over
//	leadership.go   what a node does while it leads: barrier, engine, the end of the term
//	replica.go      raft.FSM over fsm.Machine: applying, flushing, installing a snapshot
//	log.go          engine.Log over raft.Apply: which errors mean "not appended", which "unknown"
//	logstore.go     the log and the votes on disk, guarded: a stall or an error ends the process
//	snapshotstore.go, statedir.go   the state directory is the snapshot
//	members.go, join.go   adding, removing, joining
//
// What is promised and by whom:
//
//   - An entry that Raft has committed is applied once, in order, by every replica (fsm skips what it
//     has applied before, so a replay after a crash is exact).
//   - The log is never cut past what the state has on disk (guardedLog), and never contradicts the
//     state (instance.go reconciles the two before every start of Raft).
//   - A disk that hangs or fails ends the process with a code that names it (exit.go): the one thing
//     that must not happen is a leader that cannot write and keeps its leadership.
package cluster
