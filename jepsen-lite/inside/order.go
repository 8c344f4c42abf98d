// Package inside is the runner's side of the faults that happen inside a node: what can be ordered, and
// the connection over which it is. What obeys is package inject, which only binaries built with the tag
// chaos have.
package inside

import (
	"fmt"
	"strings"
	"time"
)

// Flags of a node that has the faults: where it takes orders, and the order that is in force from its start.
const (
	ListenFlag = "faults-listen"
	FirstFlag  = "faults-first"
)

// Order is how a node's surroundings behave from now on. It replaces the order before; the zero value
// is a healthy machine.
type Order struct {
	Disk  Disk  `json:"disk,omitzero"`
	Clock Clock `json:"clock,omitzero"`
	// DropReplies is the share of the API's replies, from 0 to 1, in whose place the connection is
	// cut: the call was carried out, and its caller does not hear of it.
	DropReplies float64 `json:"drop_replies,omitempty"`
}

// Behaviour is what a disk does to those who write to it. Reading works in all of them: the pages are
// in the system's cache.
type Behaviour string

const (
	Healthy Behaviour = ""
	Slow    Behaviour = "slow"  // every write and sync takes Disk.Delay longer
	Hang    Behaviour = "hang"  // no write ever returns
	Error   Behaviour = "error" // writes fail with EIO; of those to the log, half have happened nevertheless
	Full    Behaviour = "full"  // what needs room fails with ENOSPC; removing and syncing works
)

// Disk is the order for the disk, or for one of its two users.
type Disk struct {
	Does  Behaviour     `json:"does,omitempty"`
	Log   bool          `json:"log,omitempty"`   // the writes of the log and the votes
	State bool          `json:"state,omitempty"` // the writes of the state
	Delay time.Duration `json:"delay,omitempty"` // of Slow
}

// String is how reports name an order.
func (o Order) String() string {
	var parts []string
	if o.Disk.Does != Healthy {
		users := map[[2]bool]string{{true, true}: "log and state", {true, false}: "log", {false, true}: "state"}[[2]bool{o.Disk.Log, o.Disk.State}]
		parts = append(parts, fmt.Sprintf("disk of the %s: %s", users, o.Disk.Does))
		if o.Disk.Does == Slow {
			parts = append(parts, fmt.Sprintf("by %v", o.Disk.Delay.Round(time.Millisecond)))
		}
	}
	if o.Clock.Offset != 0 {
		parts = append(parts, fmt.Sprintf("clock %+.1f s", o.Clock.Offset.Seconds()))
	}
	if o.Clock.Frozen {
		parts = append(parts, "clock frozen")
	}
	if o.DropReplies > 0 {
		parts = append(parts, fmt.Sprintf("%.0f %% of replies dropped", 100*o.DropReplies))
	}
	return strings.Join(parts, " ")
}

// Clock is the order for the wall clock.
type Clock struct {
	Offset time.Duration `json:"offset,omitempty"` // beside the true time
	Frozen bool          `json:"frozen,omitempty"` // it stands still from the order on
}

// Effects count what a node has met with since its process began.
type Effects struct {
	Slowed  int64 `json:"slowed"`  // writes
	Hung    int64 `json:"hung"`    // writes
	Failed  int64 `json:"failed"`  // writes
	Refused int64 `json:"refused"` // writes, for want of room
	Misread int64 `json:"misread"` // readings of a clock that was wrong
	Dropped int64 `json:"dropped"` // replies
}

// Minus is what has happened since an earlier count.
func (e Effects) Minus(before Effects) Effects {
	return Effects{
		Slowed: e.Slowed - before.Slowed, Hung: e.Hung - before.Hung, Failed: e.Failed - before.Failed,
		Refused: e.Refused - before.Refused, Misread: e.Misread - before.Misread, Dropped: e.Dropped - before.Dropped,
	}
}
