package cluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// meet decides how a node with an empty data directory begins: it founds a cluster, or joins one.
//
// A node that lost its disk looks like a new one. It must not take part under its old entry in the
// configuration, not even for a moment: it may have voted in this term, or told a leader that it has
// an entry, and has forgotten both. So before Raft starts, a fresh node asks around. Where it finds a
// cluster, it has the leader remove what is left of a former node of its name, and then joins as a new
// node does: without a vote, until it has what the others have. By then it holds entries of the present
// term, and can no longer be talked into electing somebody who lacks what it once acknowledged.
//
// Founding peers found only when a majority of them is there and none of them knows a cluster.
func (n *Node) meet(ctx context.Context) error {
	defer close(n.met)
	exists, err := raft.HasExistingState(n.logs, n.stable, newSnapshotStore(n.replica))
	if err != nil || exists || n.ClusterID() != "" || len(n.others()) == 0 {
		return err
	}
	for round := 0; ctx.Err() == nil; round++ {
		news, joined, err := n.askForCluster(ctx)
		var final *errJoin
		if joined || errors.As(err, &final) {
			return err
		}
		if len(n.cfg.Join) == 0 && 2*(news+1) > len(n.cfg.Peers) {
			return nil
		}
		if round%50 == 10 {
			n.logger.Info("this node has no data; it waits for the other nodes before Raft starts", "asked", n.others(), "without_cluster", news, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(joinRetry / 3):
		}
	}
	return nil
}

// askForCluster asks every other node once: news is how many of them know no cluster either, err why
// the cluster that another one knows was not joined.
func (n *Node) askForCluster(ctx context.Context) (news int, joined bool, err error) {
	for _, address := range n.others() {
		status, unreachable := n.statusOf(ctx, address)
		if unreachable != nil {
			continue
		}
		if status.ClusterId == "" {
			news++
			continue
		}
		var final *errJoin
		if joined, err = n.enter(ctx, address); joined || errors.As(err, &final) {
			return news, joined, err
		}
	}
	return news, false, err
}

// enter prepares joining a cluster that was found: its leader makes sure, for good, that nothing of a
// former node of this name is left. (The list of members that some node shows is no proof: a change in
// it may yet be rolled back.)
func (n *Node) enter(ctx context.Context, through string) (joined bool, err error) {
	raftAddress := cmp.Or(n.cfg.RaftAdvertise, n.cfg.APIAdvertise)
	answer, err := n.callAddNode(ctx, through, raftAddress, n.cfg.APIAdvertise, emptyNode)
	if err != nil {
		return false, err
	}
	return true, n.changeIdentity(func(id *identity) { id.Cluster, id.Joining = answer, true })
}

// others are the API addresses of the nodes to ask.
func (n *Node) others() (addresses []string) {
	if len(n.cfg.Join) > 0 {
		return n.cfg.Join
	}
	for _, p := range n.cfg.Peers {
		if p.ID != n.cfg.NodeID {
			addresses = append(addresses, p.APIAddress)
		}
	}
	return addresses
}
