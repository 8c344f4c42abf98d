// Package engine is the leader's hands: what a leader does between its clients and the log, for one
// term. It turns requests into commands, many commands into one entry, and results into answers,
// assignments and wake-ups. It decides nothing about tasks: that is the state machine's part, inside
// the log. It knows neither HTTP nor Raft.
//
// An Engine is made for one term and thrown away with it. There is no flag to set or to clear when
// leadership moves: the next leader makes a new Engine, which learns all that it needs from the
// state (sessions, leases, what is due). Only the engine proposes, so from then on it learns of
// every change from the results of its own entries.
//
// Goroutines. Run is one goroutine with one select and owns all mutable state of the term. Callers
// hand it requests through an inbox; it hands back slices: one completion for a message of a
// thousand commands. The naive way, a goroutine, a channel and a timer per command, costs 2-5 us: a
// quarter to a half of all that a task may cost at 100,000 a second on one core. Commands are
// marshalled once, in the caller's goroutine; the loop copies bytes.
//
//	caller: marshal -> inbox ─┐                       ┌─> answers (slice) -> caller
//	streams: reports -> inbox ┼─> Run: entry -> Log ──┼─> outbox (acks, grants, revokes) -> stream
//	waiters: ids -> inbox ────┘   (depth 2)           └─> finished jobs -> waiters
//
// Guarantees:
//
//   - A call that returned without an error was committed and applied before it returned.
//   - ErrNotLeader means that nothing of the call was proposed; ErrOutcomeUnknown that it may have
//     been, and may still commit. Every call can be repeated safely: ids, fences and nonces make it so.
//   - Nothing queues without a bound. Over the bound a submission is refused at once (ErrOverloaded,
//     with a hint when to try again), and a worker's stream is read more slowly.
//   - A lease never ends early: silence is measured on the monotonic clock, from the later of the
//     last message heard, the begin of the term and the end of a pause of this process.
package engine
