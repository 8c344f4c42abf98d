package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/raft"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

const joinRetry = 300 * time.Millisecond

// errJoin is an answer that asking again will not change.
type errJoin struct{ reason string }

func (e *errJoin) Error() string { return "cluster: this node cannot join: " + e.reason }

// join asks the cluster to take this node in, until it is a voter under its present address. With
// Config.Join that is looked after at every start: a node that comes back under another address tells
// the others, and one that was removed stays out.
func (n *Node) join(ctx context.Context) error {
	select {
	case <-n.met:
	case <-ctx.Done():
		return nil
	}
	if len(n.cfg.Join) == 0 && !n.whoAmI().Joining {
		return nil
	}
	return n.askAround(ctx, func(address string) (bool, error) {
		i := n.instance.Load()
		if i == nil {
			return false, nil // Raft is starting
		}
		status, err := n.statusOf(ctx, address)
		if err != nil {
			return false, err
		}
		if ours := n.ClusterID(); status.ClusterId != ours {
			return false, &errJoin{fmt.Sprintf("its data directory %s belongs to cluster %s, and %s to cluster %s", n.cfg.DataDir, ours, address, status.ClusterId)}
		}
		self := i.transport.LocalAddr()
		if !n.whoAmI().Joining {
			if settled, err := n.isSettled(ctx, status.LeaderAddress, self); err != nil || settled {
				return settled, err
			}
		}
		raftAddress, apiAddress := splitAddress(self)
		if _, err := n.callAddNode(ctx, address, raftAddress, apiAddress, n.ClusterID()); err != nil {
			return false, err
		}
		return true, n.changeIdentity(func(id *identity) { id.Joining = false })
	})
}

// isSettled asks the leader whether nothing is left to do for a node that has been a member: it is one
// under its present address, or it was removed.
func (n *Node) isSettled(ctx context.Context, leader string, self raft.ServerAddress) (bool, error) {
	if leader == "" {
		return false, errors.New("no leader is known")
	}
	status, err := n.statusOf(ctx, leader)
	if err != nil {
		return false, err
	}
	if status.LeaderId != status.NodeId {
		return false, errors.New("the leader has changed")
	}
	for _, s := range status.Nodes {
		if s.Id == n.cfg.NodeID {
			return s.Voter && ServerAddress(s.RaftAddress, s.ApiAddress) == self, nil
		}
	}
	n.logger.Warn("this node was removed from the cluster; to come back it needs an empty data directory")
	return true, nil
}

// askAround asks the nodes to join through, one after another, until ask says that it is done, or
// returns an error that asking again will not change.
func (n *Node) askAround(ctx context.Context, ask func(address string) (done bool, err error)) error {
	for {
		for _, address := range n.others() {
			done, err := ask(address)
			var final *errJoin
			switch {
			case done, errors.As(err, &final), ctx.Err() != nil:
				return err
			case err != nil:
				level := slog.LevelDebug
				if n.whoAmI().Joining {
					level = slog.LevelInfo
				}
				n.logger.Log(ctx, level, "not yet a member; asking on", "through", address, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(joinRetry):
		}
	}
}

// callAddNode calls AddNode through a node, which passes it on to the leader. A refusal is final.
func (n *Node) callAddNode(ctx context.Context, through, raftAddress, apiAddress, clusterID string) (string, error) {
	answer, err := n.client(through).AddNode(ctx, connect.NewRequest(&apiv1.AddNodeRequest{
		Id: n.cfg.NodeID, RaftAddress: raftAddress, ApiAddress: apiAddress, ClusterId: clusterID}))
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodeFailedPrecondition:
		return "", &errJoin{err.Error()}
	}
	if err != nil {
		return "", err
	}
	return answer.Msg.ClusterId, nil
}

// whoAmI returns what node.json says.
func (n *Node) whoAmI() identity {
	n.identityMu.Lock()
	defer n.identityMu.Unlock()
	return n.identity
}

// changeIdentity changes node.json, durably.
func (n *Node) changeIdentity(change func(*identity)) error {
	n.identityMu.Lock()
	defer n.identityMu.Unlock()
	changed := n.identity
	change(&changed)
	if changed == n.identity {
		return nil
	}
	if err := writeIdentity(n.cfg.FS, n.cfg.DataDir, changed); err != nil {
		return err
	}
	n.identity = changed
	return nil
}

// ClusterID returns the cluster's identity in hex, "" as long as it is not known here.
func (n *Node) ClusterID() string { return n.whoAmI().Cluster }

// learnClusterID takes over the identity that is in the state. The two can differ only when files
// of two clusters were mixed.
func (n *Node) learnClusterID() {
	if n.named.Load() {
		return
	}
	named := n.replica.machine().ClusterID()
	if named == "" {
		return
	}
	if known := n.ClusterID(); known != "" && known != named {
		n.fail(ExitCorruption, fmt.Sprintf("the state in %s is of cluster %s, the node belongs to cluster %s", n.cfg.DataDir, named, known))
		return
	}
	if err := n.changeIdentity(func(id *identity) { id.Cluster = named }); err != nil {
		n.fail(ExitStateStore, fmt.Sprintf("write %s: %v", identityFile, err))
		return
	}
	n.named.Store(true)
}
