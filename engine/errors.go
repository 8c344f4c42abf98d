package engine

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotLeader means that this node does not lead (any more) and that nothing of the call was
	// proposed: ask the leader.
	ErrNotLeader = errors.New("engine: not leader")
	// ErrOutcomeUnknown means that the call was proposed and that this node will not learn whether it
	// was committed. Repeating the call, on any leader, is safe and tells.
	ErrOutcomeUnknown = errors.New("engine: outcome unknown: the leader changed while the call was on its way; repeat it")
	// ErrOverloaded means that a queue is full and nothing of the call was proposed. It is always
	// returned inside an *OverloadedError.
	ErrOverloaded = errors.New("engine: overloaded")
	// ErrSessionUnknown means that the session to resume is not in the state: open a new one.
	ErrSessionUnknown = errors.New("engine: no such session: it was closed or lost; open a new one")
	// ErrSessionClosed ends a stream whose session was closed, by goodbye or for its silence.
	ErrSessionClosed = errors.New("engine: session closed")
	// ErrStreamReplaced ends a stream when a second one was opened for the same session.
	ErrStreamReplaced = errors.New("engine: stream replaced by a newer one of the same session")
)

// overloadedWait is the hint where nothing better is known.
const overloadedWait = 100 * time.Millisecond

// OverloadedError is ErrOverloaded with the time after which trying again makes sense.
type OverloadedError struct {
	What       string        // which queue
	RetryAfter time.Duration // 20 ms to 2 s
}

func (o *OverloadedError) Error() string {
	return fmt.Sprintf("%v: %s full, try again in %v", ErrOverloaded, o.What, o.RetryAfter)
}

// Is makes errors.Is(err, ErrOverloaded) true.
func (o *OverloadedError) Is(target error) bool { return target == ErrOverloaded }
