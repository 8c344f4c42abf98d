package cluster

import (
	"context"

	"github.com/fanfold/fanfold/engine"
	"github.com/fanfold/fanfold/fsm"
)

// host is what the API server needs from the node that it answers for. Node implements it. All
// methods are safe from any goroutine.
type host interface {
	// Machine returns the current state machine. It is another one after a snapshot was installed:
	// ask for it at each use, do not keep it.
	Machine() *fsm.Machine
	// Leading returns the engine of the current term when this node is a leader that is ready.
	Leading() (*engine.Engine, bool)
	// LeaderAPI returns the API address of the leader as far as this node knows.
	LeaderAPI() (address string, known bool)
	// Status describes the cluster as this node sees it.
	Status() Status
	// ClusterID is the cluster's identity; "" while this node knows none.
	ClusterID() string
	// AddNode takes a node into the cluster and returns the cluster's id. clusterID is the one that the
	// node has been in ("" = none): another cluster's is refused. Leader only.
	AddNode(ctx context.Context, id, raftAddress, apiAddress, clusterID string) (string, error)
	// RemoveNode takes a node out of the cluster. Leader only.
	RemoveNode(ctx context.Context, id string) error
	// TransferLeadership makes another voter the leader; to "" leaves the choice to Raft. Leader only.
	TransferLeadership(ctx context.Context, to string) error
	// NodeHash returns this node's state hash at an index. It waits until the hash is known or ctx ends.
	NodeHash(ctx context.Context, index uint64) (hash string, known bool)
}
