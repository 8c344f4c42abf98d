package cluster

// Status is the cluster as one node sees it.
type Status struct {
	ClusterID     string
	NodeID        string // the answering node
	LeaderID      string // "" = not known
	LeaderAddress string // API address of the leader, "" = not known
	Term          uint64
	CommitIndex   uint64
	AppliedIndex  uint64
	FlushedIndex  uint64 // what the state machine has on disk
	FirstLogIndex uint64
	LastLogIndex  uint64
	Nodes         []NodeStatus
	Version       string
}

// NodeStatus is one member as another sees it.
type NodeStatus struct {
	ID           string
	RaftAddress  string
	APIAddress   string
	Voter        bool
	Leader       bool
	Reachable    bool   // heard from lately; known to the leader only
	AppliedIndex uint64 // 0 = not known
}
