package cluster

import "time"

// What the planted bugs do that do not fit into their line. Nothing here is in a release: nothing calls it.

// handOn makes this node give up its leadership a while later, for no reason.
func (i *instance) handOn() *time.Timer {
	return time.AfterFunc(3*time.Second, func() { i.raft.LeadershipTransfer() })
}
