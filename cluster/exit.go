package cluster

import "fmt"

// Exit codes of a node that had to stop. They are part of the interface: a supervisor may act on
// them, and the chaos tests expect them by number.
const (
	ExitInvariant  = 70 // a rule of the program was broken: a bug
	ExitLogStore   = 71 // the log or the vote could not be written, or hung
	ExitStateStore = 72 // the state could not be written, or hung
	ExitVersion    = 73 // written by a newer version of the program
	ExitDivergence = 74 // this replica's state differs from the others'
	ExitCorruption = 75 // what is on disk is damaged or incomplete
)

// ExitError is why a node stopped for good. Run returns it when Config.Exit returns, which it does
// only in tests.
type ExitError struct {
	Code   int
	Reason string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("cluster: the node stopped with code %d: %s", e.Code, e.Reason)
}
