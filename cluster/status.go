package cluster

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/fanfold/fanfold/fsm"
)

// Status is what this node knows about the cluster and itself.
type Status struct {
	ClusterID     string // "" = not yet known
	NodeID        string
	LeaderID      string // "" = no leader known
	LeaderAddress string // of its API
	Term          uint64
	CommitIndex   uint64
	AppliedIndex  uint64
	FlushedIndex  uint64 // the state is on disk up to here
	FirstLogIndex uint64 // 0 = the log is empty
	LastLogIndex  uint64
	LogBytes      uint64 // of the entries stored since this process began, also of those that were cut since
	Nodes         []NodeStatus
	Version       string
}

// NodeStatus is a member, as the answering node sees it.
type NodeStatus struct {
	ID, RaftAddress, APIAddress string
	Voter, Leader               bool
	Reachable                   bool   // a leader knows it of everyone, the others of themselves and the leader
	AppliedIndex                uint64 // of the answering node only
}

// Status never waits: it is answered without a leader, too.
func (n *Node) Status() Status {
	applied, _ := n.replica.machine().Applied()
	s := Status{
		ClusterID: n.ClusterID(), NodeID: n.cfg.NodeID, Version: n.cfg.Version,
		AppliedIndex: applied, FlushedIndex: n.replica.machine().Flushed().Index,
	}
	i := n.instance.Load()
	if i == nil {
		return s
	}
	leaderAddress, leader := i.raft.LeaderWithID()
	_, s.LeaderAddress = splitAddress(leaderAddress)
	s.LeaderID = string(leader)
	s.Term, s.CommitIndex = i.raft.CurrentTerm(), i.raft.CommitIndex()
	s.FirstLogIndex, _ = n.logs.FirstIndex()
	s.LastLogIndex, _ = n.logs.LastIndex()
	s.LogBytes = n.logs.bytes.sum()
	leads := i.raft.State() == raft.Leader
	for _, server := range i.raft.GetConfiguration().Configuration().Servers {
		node := NodeStatus{ID: string(server.ID), Voter: server.Suffrage == raft.Voter, Leader: server.ID == leader}
		node.RaftAddress, node.APIAddress = splitAddress(server.Address)
		self := node.ID == n.cfg.NodeID
		node.Reachable = self || node.Leader || leads && i.peers.reachable(server.ID)
		if self {
			node.AppliedIndex = applied
		}
		s.Nodes = append(s.Nodes, node)
	}
	return s
}

// keptHashes is how many state hashes a node remembers.
const keptHashes = 64

// hashes are the newest state hashes of this replica, by log index.
type hashes struct {
	mu      sync.Mutex
	known   map[uint64]string
	order   []uint64
	changed chan struct{} // closed at the next one
}

func (h *hashes) add(r fsm.HashResult) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil {
		h.known = map[uint64]string{}
	}
	if _, again := h.known[r.Index]; !again {
		h.order = append(h.order, r.Index)
	}
	h.known[r.Index] = r.Hash
	if len(h.order) > keptHashes {
		delete(h.known, h.order[0])
		h.order = h.order[1:]
	}
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// get returns the hash at index, or a channel that is closed when there is a new one.
func (h *hashes) get(index uint64) (hash string, known bool, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	hash, known = h.known[index]
	return hash, known, h.changed
}

// NodeHash returns the hash of this node's state at index, which a HashState command has asked for.
// It waits until this node has applied that entry, or for ctx; the last 64 hashes are kept.
func (n *Node) NodeHash(ctx context.Context, index uint64) (hash string, known bool) {
	for {
		hash, known, changed := n.hashes.get(index)
		if known {
			return hash, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", false
		}
	}
}
