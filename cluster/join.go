package cluster

import (
	"context"
	"errors"
	"fmt"
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
// Config.Join that is done at every start: a node that comes back under another address tells the others.
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
		if n.instance.Load() == nil {
			return false, nil // Raft is starting
		}
		status, unreachable := n.statusOf(ctx, address)
		if ours := n.ClusterID(); unreachable == nil && status.ClusterId != ours {
			return false, &errJoin{fmt.Sprintf("its data directory %s belongs to cluster %s, and %s to cluster %s", n.cfg.DataDir, ours, address, status.ClusterId)}
		}
		member, err := n.isMember()
		if err != nil || member {
			return member, err
		}
		if unreachable != nil {
			return false, unreachable
		}
		return false, n.joinThrough(ctx, address)
	})
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
				n.logger.Info("not yet a member; asking on", "through", address, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(joinRetry):
		}
	}
}

// isMember reports whether nothing is left to do: this node is a voter under its address, or it has
// been one and was removed, after which it does not come back by itself.
func (n *Node) isMember() (bool, error) {
	i := n.instance.Load()
	if i == nil {
		return false, nil
	}
	servers := i.raft.GetConfiguration().Configuration().Servers
	for _, s := range servers {
		if s.ID == raft.ServerID(n.cfg.NodeID) {
			if s.Suffrage != raft.Voter || s.Address != i.transport.LocalAddr() {
				return false, nil
			}
			return true, n.changeIdentity(func(id *identity) { id.Joining = false })
		}
	}
	who := n.whoAmI()
	if len(servers) > 0 && !who.Joining {
		n.logger.Warn("this node was removed from the cluster; to come back it needs an empty data directory and a new id")
		return true, nil
	}
	return false, nil
}

func (n *Node) joinThrough(ctx context.Context, address string) error {
	i := n.instance.Load()
	if i == nil {
		return errors.New("Raft is starting")
	}
	raftAddress, apiAddress := splitAddress(i.transport.LocalAddr())
	_, err := n.client(address).AddNode(ctx, connect.NewRequest(&apiv1.AddNodeRequest{
		Id: n.cfg.NodeID, RaftAddress: raftAddress, ApiAddress: apiAddress, ClusterId: n.ClusterID()}))
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeAlreadyExists, connect.CodeFailedPrecondition:
		return &errJoin{err.Error()}
	}
	return err
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
